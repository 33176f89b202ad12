"""Difficulties joined to a data set by id and by text."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, deepscaler
from verl_dots.data.provenance import read_provenance
from verl_dots.labelling.success_rates import Outcome, RewardRange, write_labels


@pytest.fixture
def data(tmp_path):
    """Three questions, "What is 0?" to "What is 2?", as data_prep.deepscaler writes them."""
    rows = [{"problem": f"What is ${i}$?", "answer": str(i)} for i in range(3)]
    (tmp_path / "raw.json").write_text(json.dumps(rows))
    deepscaler.main(["--source", str(tmp_path / "raw.json"), "--out", str(tmp_path / "data.parquet")])
    return tmp_path / "data.parquet"


def published(path, *difficulties):
    """A file as AdaRFT published them, with these (question, difficulty)."""
    instruction = "Let's think step by step and output the final answer within \\boxed{}."
    rows = [
        {
            "data_source": "deepscaler",
            "prompt": [{"content": f"{question} {instruction}", "role": "user"}],
            "ability": "math",
            "reward_model": {"ground_truth": "0", "style": "rule"},
            "extra_info": {"difficulty": difficulty, "index": 7, "split": "train"},
        }
        for question, difficulty in difficulties
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def infos(path):
    return pq.read_table(path)["extra_info"].to_pylist()


def join(data, labels, *arguments):
    out = data.with_name("out.parquet")
    add_difficulty.main([str(data), "--labels", str(labels), "--out", str(out), *arguments])
    return out


def test_success_rates_of_collect_are_found_by_id(data, tmp_path):
    outcomes = [(1.0, 1.0, 1.0, 0.0), (0.0, 0.0), (1.0,)]
    rows = [
        (info["question_id"], "another text", "0", Outcome(rewards))
        for info, rewards in zip(infos(data), outcomes, strict=True)
    ]
    write_labels(tmp_path / "labels.parquet", rows, RewardRange(), {})
    out = join(data, tmp_path / "labels.parquet")
    assert [info["difficulty"] for info in infos(out)] == [25.0, 100.0, 0.0]
    assert read_provenance(out)["counts"] == {"id": 3}
    assert read_provenance(out)["data"]["generator"] == "data_prep.deepscaler"
    without = [{name: value for name, value in info.items() if name != "difficulty"} for info in infos(out)]
    assert without == infos(data)


def test_published_difficulties_are_found_by_text_and_averaged(data, tmp_path):
    labels = published(
        tmp_path / "labels.parquet",
        ("what is  \\(0\\)", 12.5), ("What is $0$?", 37.5), ("What is $1$?", 100.0), ("What is $2$?", 0.0),
    )  # fmt: skip
    out = join(data, labels)
    assert [info["difficulty"] for info in infos(out)] == [25.0, 100.0, 0.0]
    assert read_provenance(out)["counts"] == {"text": 3}


def test_a_difficulty_that_was_there_is_replaced(data, tmp_path):
    labels = published(tmp_path / "a.parquet", *((f"What is ${i}$?", 10.0) for i in range(3)))
    first = join(data, labels)
    first = first.rename(tmp_path / "first.parquet")
    second = join(first, published(tmp_path / "b.parquet", *((f"What is ${i}$?", 20.0) for i in range(3))))
    assert [info["difficulty"] for info in infos(second)] == [20.0] * 3


def test_other_ranges_are_scaled(data, tmp_path):
    labels = published(tmp_path / "a.parquet", ("What is $0$?", 1.0), ("What is $1$?", 2.0), ("What is $2$?", 5.0))
    assert [info["difficulty"] for info in infos(join(data, labels, "--range", "1", "5"))] == [0.0, 25.0, 100.0]


def test_questions_without_a_label_are_an_error_or_dropped(data, tmp_path, capsys):
    labels = published(tmp_path / "a.parquet", ("What is $1$?", 50.0))
    with pytest.raises(SystemExit) as caught:
        join(data, labels)
    assert caught.value.code == 2
    assert "2 of 3 questions" in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()
    out = join(data, labels, "--unmatched", "drop")
    assert [info["difficulty"] for info in infos(out)] == [50.0]
    assert read_provenance(out)["counts"] == {"text": 1, "nothing": 2}


@pytest.mark.parametrize(
    ("difficulty", "arguments", "message"),
    [
        (101.0, [], "row 0: difficulty 101 is outside [0, 100]; give the range"),
        (None, [], "a difficulty must be a number, got None"),
        (float("nan"), [], "difficulty nan is outside [0, 100]"),
        (50.0, ["--range", "5", "5"], "--range 5 5: the two must differ"),
        (50.0, ["--unmatched", "keep"], "invalid choice: 'keep'"),
    ],
)
def test_bad_labels_are_refused(data, tmp_path, capsys, difficulty, arguments, message):
    with pytest.raises(SystemExit):
        join(data, published(tmp_path / "a.parquet", ("What is $0$?", difficulty)), *arguments)
    assert message in capsys.readouterr().err


def test_files_of_another_kind_are_refused(data, tmp_path, capsys):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no")
    for given, labels, message in (
        (data, tmp_path / "other.parquet", "has the columns ['a']"),
        (data, tmp_path / "text.parquet", "is not a parquet file"),
        (data, tmp_path / "gone.parquet", "there is no file"),
        (tmp_path / "other.parquet", data, "must be a number, got None"),
    ):
        with pytest.raises(SystemExit):
            join(given, labels)
        assert message in capsys.readouterr().err
    labels = published(tmp_path / "labels.parquet", ("no such question", 1.0))
    for given, message in ((tmp_path / "other.parquet", "has no column"), (data, "none of the 3 questions")):
        with pytest.raises(SystemExit):
            join(given, labels)
        assert message in capsys.readouterr().err
