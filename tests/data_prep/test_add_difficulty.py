"""Difficulties joined to a data set by id and by text."""

import pytest

from data_prep import add_difficulty, deepscaler
from tests.data_files import row, write
from tests.data_prep.script_runs import infos_of, prepared, refusal
from verl_dots.data.provenance import read_provenance
from verl_dots.labelling.success_rates import Outcome, RewardRange, write_labels


@pytest.fixture
def data(tmp_path):
    """Three questions, "What is 0?" to "What is 2?", as data_prep.deepscaler writes them."""
    rows = [{"problem": f"What is ${i}$?", "answer": str(i)} for i in range(3)]
    return prepared(deepscaler, tmp_path, rows, name="data")


def published(path, *difficulties):
    """A file as AdaRFT published them, with these (question, difficulty)."""
    instruction = "Let's think step by step and output the final answer within \\boxed{}."
    infos = [{"difficulty": difficulty, "index": 7, "split": "train"} for _, difficulty in difficulties]
    texts = [f"{question} {instruction}" for question, _ in difficulties]
    return write(path, [row(text, extra_info=info) for text, info in zip(texts, infos, strict=True)])


def join(data, labels, *arguments):
    out = data.with_name("out.parquet")
    add_difficulty.main([str(data), "--labels", str(labels), "--out", str(out), *arguments])
    return out


def not_joined(capsys, data, labels, *arguments):
    out = data.with_name("out.parquet")
    error = refusal(capsys, add_difficulty.main, data, "--labels", labels, "--out", out, *arguments)
    assert not out.exists()
    return error


def test_success_rates_of_collect_are_found_by_id(data, tmp_path):
    outcomes = [(1.0, 1.0, 1.0, 0.0), (0.0, 0.0), (1.0,)]
    rows = [
        (info["question_id"], "another text", "0", Outcome(rewards))
        for info, rewards in zip(infos_of(data), outcomes, strict=True)
    ]
    write_labels(tmp_path / "labels.parquet", rows, RewardRange(), {})
    out = join(data, tmp_path / "labels.parquet")
    assert infos_of(out, "difficulty") == [25.0, 100.0, 0.0]
    assert read_provenance(out)["counts"] == {"id": 3}
    assert read_provenance(out)["data"]["generator"] == "data_prep.deepscaler"
    without = [{name: value for name, value in info.items() if name != "difficulty"} for info in infos_of(out)]
    assert without == infos_of(data)


def test_published_difficulties_are_found_by_text_and_averaged(data, tmp_path):
    labels = published(
        tmp_path / "labels.parquet",
        ("what is  \\(0\\)", 12.5), ("What is $0$?", 37.5), ("What is $1$?", 100.0), ("What is $2$?", 0.0),
    )  # fmt: skip
    out = join(data, labels)
    assert infos_of(out, "difficulty") == [25.0, 100.0, 0.0]
    assert read_provenance(out)["counts"] == {"text": 3}


def test_a_difficulty_that_was_there_is_replaced_whatever_its_type(tmp_path, capsys):
    file = write(tmp_path / "text.parquet", [row("What is 1?", extra_info={"difficulty": "hard"})])
    labels = published(tmp_path / "labels.parquet", ("What is 1?", 50.0))
    assert "text.parquet row 0: a difficulty must be a number, got 'hard'" in not_joined(capsys, labels, file)
    assert infos_of(join(file, labels)) == [{"difficulty": 50.0}]


def test_other_ranges_are_scaled(data, tmp_path):
    labels = published(tmp_path / "a.parquet", ("What is $0$?", 1.0), ("What is $1$?", 2.0), ("What is $2$?", 5.0))
    assert infos_of(join(data, labels, "--range", "1", "5"), "difficulty") == [0.0, 25.0, 100.0]


def test_questions_without_a_label_are_an_error_or_dropped(data, tmp_path, capsys):
    labels = published(tmp_path / "a.parquet", ("What is $1$?", 50.0))
    assert "2 of 3 questions" in not_joined(capsys, data, labels)
    out = join(data, labels, "--unmatched", "drop")
    assert infos_of(out, "difficulty") == [50.0]
    assert read_provenance(out)["counts"] == {"text": 1, "nothing": 2}


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({"difficulty": 101.0}, "difficulty 101 is outside [0, 100]; give the range"),
        ({"difficulty": float("nan")}, "difficulty nan is outside [0, 100]"),
        ({"difficulty": None}, "a difficulty must be a number, got None"),
        ({"success_rate": 1.5}, "success_rate 1.5 is outside [0, 1]"),
        ({"success_rate": 0.5, "question_id": None}, "question_id and text must be text"),
        ({"success_rate": 0.5, "text": None}, "question_id and text must be text"),
    ],
)
def test_bad_labels_are_named_with_their_row(data, tmp_path, capsys, label, message):
    right = dict.fromkeys(label, 0.5) | {"question_id": "0" * 16, "text": "What is 1?"}
    bad = write(tmp_path / "bad.parquet", [right, right | label])
    error = not_joined(capsys, data, bad)
    assert "bad.parquet row 1: " in error and message in error


def test_ranges_that_are_none_are_refused(data, capsys):
    for hardest, message in (("0", "--range 0 0: the two must differ"), ("nan", "--range 0 nan: both must be numbers")):
        assert message in not_joined(capsys, data, data, "--range", 0, hardest)


def test_files_of_another_kind_are_refused(data, tmp_path, capsys):
    (tmp_path / "text.parquet").write_text("no")
    other = write(tmp_path / "other.parquet", [{"a": 1}])
    labels = published(tmp_path / "labels.parquet", ("no such question", 1.0))
    for given, by, message in (
        (data, other, "has the columns ['a']"),
        (data, tmp_path / "text.parquet", "is not a parquet file"),
        (data, tmp_path / "gone.parquet", "there is no file"),
        (data, data, "must be a number, got None"),
        (other, labels, "has no column"),
        (data, labels, "none of the 3 questions"),
    ):
        assert message in not_joined(capsys, given, by)
