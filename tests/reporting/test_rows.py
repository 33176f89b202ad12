"""Reading metrics.jsonl: crashes, resumes, and damage that is named."""

import json
import math

import pytest

from verl_dots.reporting.rows import as_table, read_rows

ACCURACY = "val-core/arithmetic/acc/mean@1"


@pytest.fixture
def read(tmp_path):
    """Write lines, read them, and take the file's name out of the notes."""

    def write_and_read(*lines, end="\n"):
        file = tmp_path / "metrics.jsonl"
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        file.write_bytes(b"\n".join(texts) + end.encode())
        found = read_rows(file)
        return found, [note.replace(str(file), "FILE") for note in found.notes]

    return write_and_read


def test_a_resumed_run_replaces_what_the_crashed_life_said(read):
    found, notes = read(
        {"step": 0, ACCURACY: 0.1},
        {"step": 1, "x": 1.0},
        {"step": 2, "x": 2.0},
        {"step": 3, "x": 3.0, ACCURACY: 0.3},
        {"step": 4, "x": 4.0},
        {"step": 2, ACCURACY: 0.2},  # validation of the checkpoint on resuming
        {"step": 3, "x": 30.0, ACCURACY: 0.33},
    )
    assert [row["step"] for row in found.values] == [0, 1, 2, 3]  # step 4 belonged to the life that crashed
    assert [row.get("x") for row in found.values] == [None, 1.0, 2.0, 30.0]
    assert [row.get(ACCURACY) for row in found.values] == [0.1, None, 0.2, 0.33]
    assert (found.resumes, notes) == (1, [])


def test_a_validation_of_the_life_that_crashed_is_not_the_resumed_ones(read):
    """It validated every third step and resumes at step 3, which it trains again, and validates every fifth."""
    training = {"timing_s/step": 1.0}
    crashed = [{"step": 3, ACCURACY: 0.9} | training, {"step": 4} | training]
    found, _ = read(*crashed, {"step": 3} | training, {"step": 4} | training, {"step": 5, ACCURACY: 0.5} | training)
    assert [row.get(ACCURACY) for row in found.values] == [None, None, 0.5]
    alone, _ = read({"step": 3, ACCURACY: 0.9} | training, {"step": 3} | training)
    assert alone.values == [{"step": 3} | training]


def test_a_file_that_begins_again_is_named(read):
    """A run that crashed before its first checkpoint begins again; so does another run in the same file."""
    notes = read({"step": 0}, {"step": 1}, {"step": 2}, {"step": 0}, {"step": 1})[1]
    assert [note.partition(":")[0] for note in notes] == ["FILE begins again at line 4"]
    assert read({"step": 1}, {"step": 2}, {"step": 3}, {"step": 2}, {"step": 3})[1] == []


def test_the_newest_of_several_lives_wins(read):
    found, _ = read(*({"step": step, "life": life} for life, steps in enumerate(((1, 2, 3, 4), (3, 4, 5), (2, 3)))
                      for step in steps))  # fmt: skip
    assert [(row["step"], row["life"]) for row in found.values] == [(1, 0), (2, 2), (3, 2)]
    assert found.resumes == 2


def test_rows_out_of_order_are_sorted_and_named(read):
    found, notes = read({"step": 0}, {"step": 3, "x": 3}, {"step": 1, "x": 1}, {"step": 2, "x": 2}, {"step": 4})
    assert [row["step"] for row in found.values] == [0, 1, 2, 3, 4]
    assert found.resumes == 0
    assert notes == ["FILE is out of order: line 3 (step 1), line 4 (step 2). Its rows were sorted by step."]


def test_a_last_line_without_newline_counts_if_it_is_whole(read):
    found, notes = read({"step": 0}, b'{"step": 1, "wall_sec', end="")
    assert found.values == [{"step": 0}]
    assert notes == ["FILE, line 2 is cut short; did the run crash?: skipped."]
    found, notes = read({"step": 0}, {"step": 1}, end="")
    assert (found.values, notes) == ([{"step": 0}, {"step": 1}], [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"step": 1, "wall', "is not JSON (Unterminated string starting at at character 13): "),
        (b"\x00\x00\x00", "is not JSON (Expecting value at character 1): "),
        (b'{"step": 1, "\xff": 2}', "is not text (invalid start byte)"),
        (b"[" * 100_000, "is not JSON that can be read: "),
        (b'{"step": ' + b"9" * 5000 + b"}", "is not JSON that can be read: "),
        (b"[1, 2]", "must be a JSON object with an integer 'step' of at least 0, not '[1, 2]'"),
        (b'{"x": 1}', "must be a JSON object with an integer 'step' of at least 0, not"),
        (b'{"step": 1.5}', "must be a JSON object with an integer 'step' of at least 0, not"),
        (b'{"step": true}', "must be a JSON object with an integer 'step' of at least 0, not"),
        (b'{"step": -1}', "must be a JSON object with an integer 'step' of at least 0, not"),
        (b'{"step": 1}{"step": 2}', "is not JSON (Extra data at character 12): "),
    ],
    ids=range(11),
)
def test_a_damaged_line_is_skipped_and_named_with_file_and_line(read, line, message):
    found, (note,) = read({"step": 0}, line, {"step": 2})
    assert found.values == [{"step": 0}, {"step": 2}]
    assert note.startswith(f"FILE, line 2 {message}") and note.endswith(": skipped.") and len(note) < 220


def test_many_damaged_lines_are_counted(read):
    _, notes = read(*[b"?"] * 8)
    assert len(notes) == 6 and notes[-1] == "FILE, and 3 more: skipped."


def test_values_that_are_no_numbers_do_not_count_and_are_named(read):
    found, notes = read(
        {"step": 0, ACCURACY: None, "wall_seconds": 1.0},
        {"step": 1, ACCURACY: math.nan, "actor/entropy": None, "actor/loss": math.nan},  # the latter two are usual
        {"step": 2, ACCURACY: math.inf, "train_seconds": "2.0", "x": [1], "y": 10**400},
    )
    assert found.values[2] == {"step": 2, ACCURACY: None, "train_seconds": None, "x": None, "y": None}
    assert notes == [
        f"FILE, line 1 (step 0): {ACCURACY} is null, not a number; it does not count.",
        f"FILE, line 2 (step 1): {ACCURACY} is nan, not a number; it does not count.",
        f"FILE, line 3 (step 2): {ACCURACY} is inf, not a number; it does not count.",
        "FILE, line 3 (step 2): train_seconds is '2.0', not a number; it does not count.",
        "FILE, line 3 (step 2): x is [1], not a number; it does not count.",
        "FILE, and 1 more.",
    ]


def test_costs_that_go_down_or_are_negative_are_not_used():
    rows = [
        {"step": 0, "wall_seconds": 9.0, "train_seconds": -1.0, "generated_tokens": 0, "timing_s/gen": 1.0},
        {"step": 1, "wall_seconds": 3.0, "train_seconds": 2.0, "generated_tokens": 10, "timing_s/gen": -1.0},
    ]
    table, notes = as_table(rows, "RUN")
    assert table[["wall_seconds", "train_seconds"]].isna().all(axis=None)
    assert table["generated_tokens"].tolist() == [0, 10]
    assert table["timing_s/gen"].isna().tolist() == [False, True]
    assert notes == (
        "RUN: cumulative wall_seconds is negative or falls between steps; it is not used.",
        "RUN: cumulative train_seconds is negative or falls between steps; it is not used.",
        "RUN: timing_s/gen is negative in some steps; it counts as 0 in these.",
    )


def test_train_time_beyond_wall_time_and_missing_steps_are_named():
    rows = [{"step": step, "wall_seconds": 10.0 * step, "train_seconds": 20.0 * step} for step in (31, 32, 35, 37)]
    assert as_table(rows, "RUN")[1] == (
        "RUN tells no generated_tokens.",
        "RUN: train_seconds exceed wall_seconds, which include them; one of the two is wrong.",
        "RUN has no row before step 31: its totals may lack the steps before.",
        "RUN has no row for steps 33-34, 36.",
    )


def test_a_mark_of_the_encoding_is_no_damage(read):
    found, notes = read(b'\xef\xbb\xbf{"step": 0}\r', b'{"step": 1}\r')
    assert (found.values, notes) == ([{"step": 0}, {"step": 1}], [])


def test_two_runs_that_write_one_file_are_named(read):
    training = {"timing_s/step": 1.0}
    found, notes = read(*({"step": step, "run": run} | training for step in (1, 2) for run in (0, 1)))
    assert [row["run"] for row in found.values] == [1, 1]
    sentence = "FILE tells steps twice: line 2 (step 1), line 4 (step 2). The later counts; did two runs write it?"
    assert notes == [sentence]
    assert read({"step": 5, ACCURACY: 0.1} | training, {"step": 5, ACCURACY: 0.1})[1] == []  # resumed at step 5
