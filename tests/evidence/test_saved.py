import math

import pandas as pd
import pytest

from tests.evidence.hand import evidence, run
from tests.refusals import refused
from verl_dots.evidence import saved
from verl_dots.evidence.records import Evidence, fingerprint

ROWS = run({0: 0.1, 2: 0.5}, **{"actor/entropy": 0.25, "training/reward": math.nan})


@pytest.fixture
def one():
    found = evidence({("grpo", 1): ROWS, ("dots", 2, "time"): ROWS})
    return Evidence(found.steps, found.runs.assign(model="a, b", path='x "y"'), ("one thing", "two\nlines"))


def test_what_is_saved_comes_back_and_is_the_same_byte_for_byte(one, tmp_path):
    assert not saved.is_saved(tmp_path)
    saved.save(one, tmp_path / "a")
    found = saved.load(tmp_path / "a")
    pd.testing.assert_frame_equal(found.steps, one.steps)
    pd.testing.assert_frame_equal(found.runs, one.runs)
    assert found.notes == ("one thing", "two lines") and saved.is_saved(tmp_path / "a")
    saved.save(found, tmp_path / "b")
    for name in saved.FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_table_that_is_no_csv_in_utf_8_is_refused(one, tmp_path):
    saved.save(one, tmp_path)
    (tmp_path / "runs.csv").write_text((tmp_path / "runs.csv").read_text(), encoding="utf-16")
    with refused(str(tmp_path / "runs.csv"), "damaged", "is no CSV in UTF-8", "save it as CSV UTF-8"):
        saved.load(tmp_path)
    (tmp_path / "steps.csv").write_text(f'combination\n"{"1" * 140_000}"\n')
    with refused(str(tmp_path / "steps.csv"), "damaged", "is no CSV in UTF-8", "field larger than field limit"):
        saved.load(tmp_path)


def test_numbers_are_as_short_as_they_can_be(one, tmp_path):
    saved.save(one, tmp_path)
    lines = (tmp_path / "steps.csv").read_text().split("\n")
    assert lines[1] == "c,grpo,1,accuracy,0,0.1,0,0,0,0,,"
    assert lines[2] == "c,grpo,1,accuracy,1,,4,2,100,4,0.25,"


def test_a_fingerprint_is_of_steps_accuracies_and_tokens_alone():
    mark = fingerprint(ROWS)
    assert len(mark) == 16 and mark == fingerprint(ROWS.assign(train_seconds=0.0).drop(columns="actor/entropy"))
    for change in ({"accuracy": ROWS["accuracy"] + 1e-6}, {"generated_tokens": 1.0}, {"step": ROWS["step"] + 1}):
        assert fingerprint(ROWS.assign(**change)) != mark
    # sha256 of "0,0.1,0\n1,,100\n2,0.5,200\n"
    assert mark == "2a14b4ba9bfc3159"


@pytest.mark.parametrize(
    ("file", "row", "column", "text", "reason"),
    [
        ("steps.csv", 2, "accuracy", "high", "type"),
        ("steps.csv", 2, "accuracy", "nan", "type"),
        ("steps.csv", 3, "actor/entropy", "inf", "type"),
        ("steps.csv", 4, "step", "1.5", "type"),
        ("steps.csv", 4, "step", "", "type"),
        ("steps.csv", 5, "seed", "-1", "type"),
        ("steps.csv", 2, "kind", "quick", "type"),
        ("runs.csv", 3, "method", " ", "type"),
        ("runs.csv", 2, "seed", "one", "type"),
        ("runs.csv", 2, "fingerprint", "0123456789abcdef", "damaged"),
    ],
)
def test_a_wrong_value_is_named_by_row_and_column(one, tmp_path, file, row, column, text, reason):
    saved.save(one, tmp_path)
    table = pd.read_csv(tmp_path / file, dtype=str, keep_default_na=False)
    table.loc[row - 2, column] = text
    table.to_csv(tmp_path / file, index=False)
    with refused(column, reason, file, f"row {row}, column {column}: {text!r}"):
        saved.load(tmp_path)


def test_rows_that_are_twice_there_missing_or_cut_are_refused(one, tmp_path):
    def changed(file, change):
        saved.save(one, tmp_path)
        lines = (tmp_path / file).read_text().splitlines()
        (tmp_path / file).write_text("\n".join(change(lines)) + "\n")
        return saved.load(tmp_path)

    with refused("steps.csv", "excluded", "row 8: c/grpo/1/accuracy/0 is there twice"):
        changed("steps.csv", lambda lines: [*lines, lines[1]])
    with refused("runs.csv", "excluded", "row 4"):
        changed("runs.csv", lambda lines: [*lines, lines[1]])
    with refused(str(tmp_path), "data", "c/dots/2/time"):
        changed("runs.csv", lambda lines: lines[:2])
    with refused(str(tmp_path / "steps.csv"), "size", "row 2"):
        changed("steps.csv", lambda lines: [lines[0], lines[1] + ",1", *lines[2:]])
    with refused(str(tmp_path / "steps.csv"), "missing"):
        changed("steps.csv", lambda lines: lines[:1])
    with refused(str(tmp_path / "steps.csv"), "file", "method"):
        changed("steps.csv", lambda lines: [lines[0].replace("method", "name"), *lines[1:]])
    (tmp_path / "steps.csv").unlink()
    with refused(str(tmp_path / "steps.csv"), "missing"):
        saved.load(tmp_path)
