"""The steps that all data sets share, through the command line."""

import re
import tracemalloc
from functools import partial

import pytest

from data_prep import add_difficulty, arithmetic, deepscaler, gsm8k, judge, math500, pipeline, raw_files, schema
from tests.data_files import REFUSES_SYSTEM, save_tokenizer
from tests.data_prep.script_runs import infos_of, prepared, problems, raw_file, refusal, rows_of
from verl_dots.data.provenance import read_provenance

run = partial(prepared, deepscaler)
JUDGE = ("--endpoint", "http://localhost:9/v1", "--model", "m")


def test_rows_keep_the_sources_order_and_say_where_they_were(tmp_path):
    rows = rows_of(run(tmp_path, [*problems(2), *problems(1), *problems(1, start=2)]))
    assert [row["extra_info"]["index"] for row in rows] == [0, 1, 2]
    assert [row["extra_info"]["source_row"] for row in rows] == [0, 1, 3]
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["1", "2", "3"]


def test_the_same_input_and_arguments_give_the_same_bytes(tmp_path):
    def written(name, seed):
        return run(tmp_path, problems(50), "--sample", 20, "--seed", seed, name=name).read_bytes()

    assert written("one", 3) == written("two", 3) != written("other", 4)


def test_a_sample_is_of_the_size_and_does_not_depend_on_order_or_prompt(tmp_path):
    def sampled(rows, *more):
        return sorted(infos_of(run(tmp_path, rows, "--sample", 20, *more), "question"))

    assert len(sampled(problems(50))) == 20
    assert sampled(problems(50)) == sampled(problems(50)[::-1]) == sampled(problems(50), "--system", "Think.")


def test_provenance_tells_source_arguments_and_counts(tmp_path):
    rows = [*problems(3), {"problem": "", "answer": "1"}, {"problem": "p", "answer": None}, *problems(1)]
    found = read_provenance(run(tmp_path, rows, "--sample", 2))
    assert found["generator"] == "data_prep.deepscaler"
    assert found["source"]["name"].endswith("raw.jsonl") and len(found["source"]["files_sha256"]["raw.jsonl"]) == 64
    assert found["arguments"]["sample"] == 2 and found["arguments"]["seed"] == 1
    assert found["counts"] == {
        "rows read": 6,
        "damaged: no question": 1,
        "damaged: no answer": 1,
        "repeats of an earlier question": 1,
        "repeats but for case, spaces and LaTeX's looks": 0,
        "same question, different answers": 0,
        "not in the sample": 1,
        "rows written": 2,
    }


def test_questions_of_evaluation_sets_leave_and_are_counted_by_file(tmp_path, capsys):
    evals = [prepared(math500, tmp_path, problems(2), name="a"), prepared(math500, tmp_path, problems(2, 1), name="b")]
    spaced = [{"problem": row["problem"].upper().replace(" ", "  "), "answer": row["answer"]} for row in problems(5)]
    capsys.readouterr()
    out = run(tmp_path, spaced, "--exclude", *evals)
    # Questions 0 and 1 are in a, 1 and 2 in b: three leave, one counts for both.
    assert [row["reward_model"]["ground_truth"] for row in rows_of(out)] == ["4", "5"]
    assert read_provenance(out)["excluded"] == {str(file): 2 for file in evals}
    assert read_provenance(out)["counts"]["left out: in an evaluation set"] == 3
    assert capsys.readouterr().out.count("excluded by") == 2


def test_prompts_that_are_too_long_leave_before_the_sample(tmp_path):
    tokenizer = save_tokenizer(tmp_path / "tokenizer")
    rows = [*problems(3), {"problem": "x" * 100, "answer": "1"}, {"problem": "y" * 101, "answer": "1"}]
    # A token for each byte and special: start, "user\n", question, "\n\n", instruction, end, "\n", start,
    # "assistant\n".
    limit = 1 + 5 + 100 + 2 + 58 + 1 + 1 + 1 + 10
    out = run(tmp_path, rows, "--max-prompt-tokens", limit, "--tokenizer", tokenizer, "--sample", 4)
    assert infos_of(out, "source_row") == [0, 1, 2, 3]
    assert read_provenance(out)["counts"][f"left out: more than {limit} prompt tokens"] == 1


def test_a_chat_template_that_refuses_the_prompts_is_named(tmp_path, capsys):
    arguments = ("--max-prompt-tokens", 200, "--tokenizer", save_tokenizer(tmp_path / "tokenizer", REFUSES_SYSTEM))
    assert len(rows_of(run(tmp_path, problems(2), *arguments))) == 2
    given = ("--source", tmp_path / "raw.jsonl", "--out", tmp_path / "other.parquet", *arguments)
    error = refusal(capsys, deepscaler.main, *given, "--system", "Be brief.")
    assert "the tokenizer's chat template refuses system and user messages: System role not supported" in error
    assert "leave --system out" in error and not (tmp_path / "other.parquet").exists()


ONE = '{"problem": "p", "answer": "1"}'


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ('{"text": "p"}', [], r"row 0 of the source: no column 'problem', only \['text'\]"),
        (ONE + '{"problem": "p"}', [], "row 1 of the source: no column 'answer'"),
        ('{"problem": "", "answer": "1"}\n{"problem": "p", "answer": ""}', [], "none of the rows of"),
        ("[]", [], "has no rows"),
        (ONE, ["--sample", "2"], "--sample 2: there are only 1"),
        (ONE, ["--sample", "0"], "must be at least 1"),
        (ONE, ["--split", "test"], "invalid choice: 'test'"),
        (ONE, ["--max-prompt-tokens", "5"], "go together"),
        (ONE, ["--exclude", "gone.parquet"], "--exclude gone.parquet: there is no file"),
        (ONE + '{"problem": "P", "answer": "2"}', [], "nothing is left of"),
        (ONE, ["--max-prompt-tokens", "5", "--tokenizer", "./x"], "--tokenizer ./x"),
        (ONE, ["--out", "out.json"], "must end in .parquet"),
    ],
)
def test_bad_input_ends_with_a_message_and_no_file(tmp_path, monkeypatch, capsys, content, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.json").write_text(content)
    error = refusal(capsys, deepscaler.main, "--source", "raw.json", "--out", "out.parquet", *arguments)
    assert re.search(message, error) and not (tmp_path / "out.parquet").exists()


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "ROWS_PER_GROUP", 64)
    monkeypatch.setattr(pipeline, "BATCH_ROWS", 64)
    monkeypatch.setattr(raw_files, "PIECE_CHARACTERS", 1 << 14)

    def peak(count):
        rows = [{"question": f"{i} " + "x" * 4000, "answer": f"#### {i}"} for i in range(count)]
        source = raw_file(tmp_path / "raw.jsonl", rows)
        tracemalloc.start()
        try:
            gsm8k.main(["--source", str(source), "--out", str(tmp_path / "out.parquet")])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    # 400 more rows are 1.6 MB; what is kept of them are digests and ids, about 0.1 MB.
    assert peak(700) - peak(300) < 0.4e6


def test_questions_that_no_response_matches_are_counted_or_left_out(tmp_path, capsys, caplog):
    prose = {"problem": "Prove it.", "answer": "This problem has no solution, so that there is no answer here."}
    rows = [*problems(2), prose, {"problem": "Again?", "answer": prose["answer"]}]
    out = run(tmp_path, rows)
    assert len(rows_of(out)) == 4
    assert "right responses to 2 of 4 questions may get no reward (prose answer 2)" in caplog.text
    assert "may match no right response: prose answer" in capsys.readouterr().out
    caplog.clear()
    out = run(tmp_path, rows, "--drop-unmatchable", "--sample", 2)
    assert [row["reward_model"]["ground_truth"] for row in rows_of(out)] == ["1", "2"]
    assert read_provenance(out)["counts"]["left out: prose answer"] == 2
    assert read_provenance(out)["arguments"]["drop_unmatchable"] is True and not caplog.records


def test_where_nothing_can_be_written_is_told_before_anything_is_read(tmp_path, capsys):
    """The inputs are not there: that is not what is told."""
    (tmp_path / "text").write_text("kept")
    (tmp_path / "folder.parquet").mkdir()
    gone, inside = tmp_path / "gone", tmp_path / "text" / "out.parquet"
    for command in (
        (deepscaler.main, "--source", gone, "--out"),
        (add_difficulty.main, gone, "--labels", gone, "--out"),
        (judge.main, gone, *JUDGE, "--out"),
    ):
        assert f"--out {inside} cannot be written: " in refusal(capsys, *command, inside)
        assert "folder.parquet is a folder; name a file in it" in refusal(capsys, *command, tmp_path / "folder.parquet")
    assert "cannot be written: " in refusal(capsys, arithmetic.main, "--out", tmp_path / "text", "--train", 10**7)
    assert (tmp_path / "text").read_text() == "kept"


def test_what_is_read_is_not_written_over(tmp_path, capsys):
    out, gone = run(tmp_path, problems(3)), tmp_path / "gone.parquet"
    before = out.read_bytes()
    for main, *arguments in (
        (deepscaler.main, "--source", out),
        (deepscaler.main, "--source", tmp_path / "raw.jsonl", "--exclude", out),
        (add_difficulty.main, out, "--labels", gone),
        (add_difficulty.main, gone, "--labels", out),
        (judge.main, out, *JUDGE),
    ):
        error = refusal(capsys, main, *arguments, "--out", out)
        assert f"--out {out} is also read ({out}); choose another name" in error
    assert out.read_bytes() == before
