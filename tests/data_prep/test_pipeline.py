"""The steps that all data sets share, through the command line."""

import json
import re
import tracemalloc

import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, arithmetic, deepscaler, gsm8k, judge, math500, pipeline, raw_files, schema
from data_prep.answers import AnswerCheck
from data_prep.byte_tokenizer import build_tokenizer
from verl_dots.data.provenance import read_provenance


def raw_file(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def problems(count, start=0):
    return [{"problem": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(start, start + count)]


def run(tmp_path, rows, *arguments, name="out"):
    source = raw_file(tmp_path / "raw.jsonl", rows)
    out = tmp_path / f"{name}.parquet"
    deepscaler.main(["--source", source, "--out", str(out), *map(str, arguments)])
    return out


def rows_of(path):
    return pq.read_table(path).to_pylist()


def test_rows_keep_the_sources_order_and_say_where_they_were(tmp_path):
    rows = rows_of(run(tmp_path, [*problems(2), *problems(1), *problems(1, start=2)]))
    assert [row["extra_info"]["index"] for row in rows] == [0, 1, 2]
    assert [row["extra_info"]["source_row"] for row in rows] == [0, 1, 3]
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["1", "2", "3"]


def test_the_same_input_and_arguments_give_the_same_bytes(tmp_path):
    one = run(tmp_path, problems(50), "--sample", 20, "--seed", 3, name="one").read_bytes()
    two = run(tmp_path, problems(50), "--sample", 20, "--seed", 3, name="two").read_bytes()
    other = run(tmp_path, problems(50), "--sample", 20, "--seed", 4, name="other").read_bytes()
    assert one == two
    assert one != other


def test_a_sample_does_not_depend_on_order_or_prompt(tmp_path):
    def sampled(rows, *more):
        return {row["extra_info"]["question"] for row in rows_of(run(tmp_path, rows, "--sample", 20, *more))}

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


def test_empty_questions_and_answers_are_warned_about(tmp_path, caplog):
    run(tmp_path, [*problems(1), {"problem": " ", "answer": "1"}])
    assert "1 rows damaged: no question" in caplog.text


def test_questions_of_evaluation_sets_leave_and_are_counted_by_file(tmp_path, capsys):
    evals = []
    for name, rows in (("a", problems(2)), ("b", problems(2, start=1))):
        source = raw_file(tmp_path / f"{name}.jsonl", rows)
        evals.append(str(tmp_path / f"{name}.parquet"))
        math500.main(["--source", source, "--out", evals[-1]])
    spaced = [{"problem": row["problem"].upper().replace(" ", "  "), "answer": row["answer"]} for row in problems(5)]
    capsys.readouterr()
    out = run(tmp_path, spaced, "--exclude", *evals)
    # Questions 0 and 1 are in a, 1 and 2 in b: three leave, one counts for both.
    assert [row["reward_model"]["ground_truth"] for row in rows_of(out)] == ["4", "5"]
    assert read_provenance(out)["excluded"] == {evals[0]: 2, evals[1]: 2}
    assert read_provenance(out)["counts"]["left out: in an evaluation set"] == 3
    assert capsys.readouterr().out.count("excluded by") == 2


def test_prompts_that_are_too_long_leave_before_the_sample(tmp_path):
    build_tokenizer().save_pretrained(tmp_path / "tokenizer")
    rows = [*problems(3), {"problem": "x" * 100, "answer": "1"}, {"problem": "y" * 101, "answer": "1"}]
    # A token for each byte and special: start, "user\n", question, "\n\n", instruction, end, "\n", start,
    # "assistant\n".
    limit = 1 + 5 + 100 + 2 + 58 + 1 + 1 + 1 + 10
    arguments = ("--max-prompt-tokens", limit, "--tokenizer", tmp_path / "tokenizer", "--sample", 4)
    out = run(tmp_path, rows, *arguments)
    assert [row["extra_info"]["source_row"] for row in rows_of(out)] == [0, 1, 2, 3]
    assert read_provenance(out)["counts"][f"left out: more than {limit} prompt tokens"] == 1


# As in templates that know no system message.
REFUSES_SYSTEM = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{{ message['content'] }}{% endfor %}"
)


def test_a_chat_template_that_refuses_the_prompts_is_named(tmp_path, capsys):
    tokenizer = build_tokenizer()
    tokenizer.chat_template = REFUSES_SYSTEM
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    arguments = ("--max-prompt-tokens", 200, "--tokenizer", tmp_path / "tokenizer")
    assert len(rows_of(run(tmp_path, problems(2), *arguments))) == 2
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, problems(2), *arguments, "--system", "Be brief.", name="other")
    assert caught.value.code == 2 and not (tmp_path / "other.parquet").exists()
    error = capsys.readouterr().err
    assert "the tokenizer's chat template refuses system and user messages: System role not supported" in error
    assert "leave --system out" in error


def test_evaluation_sets_keep_conflicts_and_warn_of_another_size(tmp_path, caplog):
    rows = [{"problem": "p", "answer": "1"}, {"problem": "P", "answer": "2"}]
    math500.main(["--source", raw_file(tmp_path / "raw.jsonl", rows), "--out", str(tmp_path / "out.parquet")])
    assert len(rows_of(tmp_path / "out.parquet")) == 2
    assert "math500 has 500 questions as published, here are 2" in caplog.text


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ('{"text": "p"}', [], r"row 0 of the source: no column 'problem', only \['text'\]"),
        ('{"problem": "p", "answer": "1"}\n{"problem": "p"}', [], "row 1 of the source: no column 'answer'"),
        ('{"problem": "", "answer": "1"}\n{"problem": "p", "answer": ""}', [], "none of the rows of"),
        ('"text"', [], "row 0 of the source: expected columns, got 'text'"),
        ("[]", [], "has no rows"),
        ("", [], "is empty"),
        ('{"problem": "p", "answer": "1"}', ["--sample", "2"], "--sample 2: there are only 1"),
        ('{"problem": "p", "answer": "1"}', ["--sample", "0"], "must be at least 1"),
        ('{"problem": "p", "answer": "1"}', ["--conflicts", "first"], "invalid choice: 'first'"),
        ('{"problem": "p", "answer": "1"}', ["--split", "test"], "invalid choice: 'test'"),
        ('{"problem": "p", "answer": "1"}', ["--max-prompt-tokens", "5"], "go together"),
        ('{"problem": "p", "answer": "1"}', ["--exclude", "gone.parquet"], "--exclude gone.parquet: there is no file"),
        ('{"problem": "p", "answer": "1"}', ["--source", "gone.parquet"], "no such file or folder"),
        ('{"problem": "p", "answer": "1"}\n{"problem": "P", "answer": "2"}', [], "nothing is left of"),
        ('{"problem": "p", "answer": "1"}', ["--max-prompt-tokens", "5", "--tokenizer", "./x"], "--tokenizer ./x"),
        ('{"problem": "p", "answer": "1"}', ["--out", "out.json"], "must end in .parquet"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_a_message_and_no_file(tmp_path, monkeypatch, capsys, content, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.json").write_text(content)
    with pytest.raises(SystemExit) as caught:
        deepscaler.main(["--source", "raw.json", "--out", "out.parquet", *arguments])
    assert caught.value.code == 2
    assert not (tmp_path / "out.parquet").exists()
    assert re.search(message, capsys.readouterr().err)


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "ROWS_PER_GROUP", 64)
    monkeypatch.setattr(pipeline, "BATCH_ROWS", 64)
    monkeypatch.setattr(raw_files, "PIECE_CHARACTERS", 1 << 14)

    def peak(count):
        with (tmp_path / "raw.jsonl").open("w") as file:
            for i in range(count):
                file.write(json.dumps({"question": f"{i} " + "x" * 4000, "answer": f"#### {i}"}) + "\n")
        arguments = ["--source", str(tmp_path / "raw.jsonl"), "--out", str(tmp_path / "out.parquet")]
        tracemalloc.start()
        try:
            gsm8k.main(arguments)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    # 1,000 more rows are 4 MB; what is kept of them are digests and ids, about 0.15 MB.
    assert peak(1300) - peak(300) < 0.5e6


def test_questions_that_no_response_matches_are_counted_or_left_out(tmp_path, capsys, caplog):
    prose = {"problem": "Prove it.", "answer": "This problem has no solution, so that there is no answer here."}
    rows = [*problems(2), prose, {"problem": "Again?", "answer": prose["answer"]}]
    out = run(tmp_path, rows)
    assert (
        len(rows_of(out)) == 4
        and "right responses to 2 of 4 questions may get no reward (prose answer 2)" in caplog.text
    )
    assert "may match no right response: prose answer" in capsys.readouterr().out
    caplog.clear()
    out = run(tmp_path, rows, "--drop-unmatchable", "--sample", 2)
    assert [row["reward_model"]["ground_truth"] for row in rows_of(out)] == ["1", "2"]
    assert read_provenance(out)["counts"] == {
        "rows read": 4,
        "left out: prose answer": 2,
        "repeats of an earlier question": 0,
        "repeats but for case, spaces and LaTeX's looks": 0,
        "same question, different answers": 0,
        "not in the sample": 0,
        "rows written": 2,
    }
    assert read_provenance(out)["arguments"]["drop_unmatchable"] is True and not caplog.records


def test_answers_that_verls_own_rewards_read_are_not_asked_about():
    check = AnswerCheck("apps")
    check.add("no answer at all")
    assert check.counts() == {} and check.kinds(["neither is this."]) == [None]


def fails(capsys, main, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_where_nothing_can_be_written_is_told_before_anything_is_read(tmp_path, capsys):
    """The inputs are not there: that is not what is told."""
    (tmp_path / "text").write_text("kept")
    (tmp_path / "folder.parquet").mkdir()
    gone, inside = tmp_path / "gone", tmp_path / "text" / "out.parquet"
    for command in (
        (deepscaler.main, "--source", gone, "--out"),
        (add_difficulty.main, gone, "--labels", gone, "--out"),
    ):
        assert f"--out {inside} cannot be written: " in fails(capsys, *command, inside)
        assert "folder.parquet is a folder; name a file in it" in fails(capsys, *command, tmp_path / "folder.parquet")
    judged = [str(gone), "--endpoint", "http://localhost:9/v1", "--model", "m", "--out"]
    assert judge.main([*judged, str(inside)]) == 2
    assert f"--out {inside} cannot be written: " in capsys.readouterr().err
    assert "cannot be written: " in fails(capsys, arithmetic.main, "--out", tmp_path / "text", "--train", 10**7)
    assert (tmp_path / "text").read_text() == "kept"


def test_what_is_read_is_not_written_over(tmp_path, capsys):
    out = run(tmp_path, problems(3))
    before = out.read_bytes()
    for main, *arguments in (
        (deepscaler.main, "--source", out),
        (deepscaler.main, "--source", tmp_path / "raw.jsonl", "--exclude", out),
        (add_difficulty.main, out, "--labels", tmp_path / "gone.parquet"),
        (add_difficulty.main, tmp_path / "gone.parquet", "--labels", out),
    ):
        assert f"--out {out} is also read ({out}); choose another name" in fails(capsys, main, *arguments, "--out", out)
    judged = [str(out), "--endpoint", "http://localhost:9/v1", "--model", "m", "--out", str(out)]
    assert judge.main(judged) == 2 and "is also read" in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--concurrency", "0", "--concurrency 0: must be a number above 0"),
        ("--timeout", "nan", "--timeout nan: must be a number above 0"),
        ("--requests-per-minute", "-1", "--requests-per-minute -1: must be a number above 0"),
        ("--retries", "-1", "--retries -1: must be a number of at least 0"),
        ("--first-wait", "inf", "--first-wait inf: must be a number of at least 0"),
        ("--temperature", "nan", "--temperature nan: must be a number"),
        ("--endpoint", "localhost:8000", "--endpoint localhost:8000 is no address; it begins with http:// or https://"),
    ],
)
def test_values_of_the_judge_are_checked_first(tmp_path, capsys, option, value, words):
    given = ["gone.parquet", "--endpoint", "http://localhost:9", "--model", "m", "--out", tmp_path / "out.parquet"]
    assert words in fails(capsys, judge.parse, *given, f"{option}={value}")


def test_a_range_of_difficulties_is_of_numbers(tmp_path, capsys):
    given = [tmp_path / "a.parquet", "--labels", tmp_path / "b.parquet", "--out", tmp_path / "c.parquet"]
    assert "--range 0 nan: both must be numbers" in fails(capsys, add_difficulty.main, *given, "--range", 0, "nan")
