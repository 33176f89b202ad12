"""`python -m verl_dots.check` on files with everything that can be wrong with a row."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.byte_tokenizer import build_tokenizer
from verl_dots import check
from verl_dots.data_check import check_files
from verl_dots.questions import QuestionError
from verl_dots.rewards.compute import answer_problem, source_problem


def row(question="What is 1 plus 1?", answer="2", source="arithmetic", prompt=None):
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": question}] if prompt is None else prompt,
        "reward_model": {"style": "rule", "ground_truth": answer},
    }


def write(path, rows, schema=None):
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def run(capsys, *arguments):
    code = check.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_good_data(tmp_path, capsys):
    file = write(tmp_path / "a.parquet", [row(f"What is {i} plus 1?", str(i + 1)) for i in range(10, 30)])
    code, out, _ = run(capsys, file)
    assert code == 0 and "All 20 rows can be trained on." in out
    header, _, cells = (line.split("|") for line in out.splitlines()[:3])
    assert [cell.strip() for cell in cells[1:6]] == ["a.parquet", "20", "20", "arithmetic", "18, 18"]
    assert "unknown data source" not in header


def test_everything_that_can_be_wrong_with_a_row_is_told_with_its_number(tmp_path, capsys):
    rows = [
        row("good", "1"),
        row("no answer", ""),
        row("no prompt", "1", prompt=[]),
        row("blank", "1", prompt=[{"role": "user", "content": "  "}]),
        row("what is this?", "1", source="unheard_of"),
        row("nor this", "1", source=None),
        row("good", "1"),
        row("good", "2"),
        row("unreadable", "a data source."),  # a period ends an answer
        row("a fraction", "\\frac{1}{2}", source="math"),
        row("verl's own", "7", source="openai/gsm8k"),
    ]
    code, out, _ = run(capsys, write(tmp_path / "a.parquet", rows))
    assert code == 1
    for line in (
        "no question, 3 rows: 1, 2, 3",
        "row 1: reward_model has no ground_truth",
        "row 2: prompt must be a non-empty list of messages",
        "row 3: the question has no text",
        "unknown data source, 2 rows: 4, 5",
        "row 4: no reward function for data source 'unheard_of'",
        "row 5: it has no data_source",
        "repeated question, 1 rows: 6",
        "row 6: the same as a.parquet row 0",
        "conflicting answers, 1 rows: 7",
        "unreadable answer, 1 rows: 8",
        "6 of 11 rows are wrong.",
    ):
        assert line in out, line
    assert "row 9" not in out and "row 10" not in out


def test_repeats_across_files_are_wrong_only_if_asked(tmp_path, capsys):
    files = [write(tmp_path / f"{name}.parquet", [row()]) for name in "ab"]
    code, out, _ = run(capsys, *files)
    assert code == 0 and "b.parquet: repeated question, 1 rows: 0" in out and "the same as a.parquet row 0" in out
    code, out, _ = run(capsys, *files, "--strict")
    assert code == 1 and "1 of 2 rows are wrong." in out


def test_prompts_that_are_too_long(tmp_path, capsys):
    build_tokenizer().save_pretrained(tmp_path / "model")
    file = write(tmp_path / "a.parquet", [row("short"), row("long " * 50)])
    code, out, _ = run(capsys, file, "--tokenizer", tmp_path / "model", "--max-prompt-tokens", 100)
    assert code == 1 and "too long, 1 rows: 1" in out and "at most 100 are allowed" in out
    tokens = int(out.split("its prompt has ")[1].split()[0])
    assert 250 <= tokens < 300 and f" {tokens} |" in out
    with pytest.raises(SystemExit):
        check.main([str(file), "--max-prompt-tokens", "100"])
    assert "a --tokenizer that counts them" in capsys.readouterr().err


def test_text_that_is_not_utf_8(tmp_path, capsys):
    good = write(tmp_path / "a.parquet", [row(f"question {'x' * i}", "1") for i in range(5)])
    content = good.read_bytes()
    assert content.count(b"question xxx") > 0
    table = pq.read_table(good)
    cells = [b"question ", b"question \xff\xfe", b"question xx"]
    messages = pa.array(
        [[{"role": "user", "content": cell}] for cell in cells],
        pa.list_(pa.struct([("role", pa.string()), ("content", pa.binary())])),
    )
    strings = pa.ListArray.from_arrays(
        messages.offsets,
        pa.StructArray.from_arrays(
            [messages.values.field("role"), messages.values.field("content").view(pa.string())], ["role", "content"]
        ),
    )
    table = table.slice(0, 3).set_column(table.schema.get_field_index("prompt"), "prompt", strings)
    pq.write_table(table, good)
    code, out, _ = run(capsys, good)
    assert code == 1 and "no question, 1 rows: 1" in out and "row 1: its text is not UTF-8" in out


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "there is no file"),
        (lambda path: path.write_text("{}") and path, "is not a parquet file, or damaged"),
        (lambda path: path.write_bytes(b"") or path, "is not a parquet file, or damaged"),
        (lambda path: write(path, [{"question": "1 + 1?"}]), "has no column ['prompt', 'reward_model']"),
        (lambda path: write(path, [row() | {"reward_model": {"style": "rule"}}]), "reward_model has no ground_truth"),
        (lambda path: write(path, [], pa.Table.from_pylist([row()]).schema), "has no rows"),
    ],
)
def test_files_that_cannot_be_read_at_all(tmp_path, capsys, make, words):
    code, _, err = run(capsys, make(tmp_path / "a.parquet"))
    assert code == 2 and words in err


def test_each_answer_is_asked_for_once(tmp_path):
    asked = []

    def answers(source, truth):
        asked.append((source, truth))
        return None

    file = write(tmp_path / "a.parquet", [row(f"question {i}", str(i % 3)) for i in range(30)])
    (report,) = check_files([file], answers=answers, progress=False)
    assert sorted(asked) == [("arithmetic", str(i)) for i in range(3)]
    assert report.rows == report.questions == 30 and not report.problems
    with pytest.raises(QuestionError, match="has no column"):
        check_files([file], prompt_key="messages", progress=False)


def test_what_a_reward_can_read():
    assert answer_problem("arithmetic", "42") is None
    assert "cannot read the answer '42.'" in answer_problem("arithmetic", "42.")  # a period ends the answer
    assert answer_problem("math", "\\frac{1}{2}") is None and answer_problem("math", "-3.5") is None
    assert answer_problem("openai/gsm8k", "1") is None  # verl's own to read
    assert "cannot read the answer 'my data source.'" in answer_problem("arithmetic", "my data source.")
    assert "no reward function" in source_problem("nobody's")
    assert source_problem("math") is None and source_problem("openai/gsm8k") is None
