"""Rows that should be in verl's schema and are not: each script that reads them names the file and the row."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, deepscaler, e3

ROW = {
    "data_source": "x",
    "prompt": [{"role": "user", "content": "What is 1?"}],
    "reward_model": {"style": "rule", "ground_truth": "1"},
    "extra_info": {"difficulty": 50.0},
}
BAD = {
    "strings": ({"prompt": ["What is 1?"]}, "a message of prompt has a role and a content"),
    "null content": ({"prompt": [{"role": "user", "content": None}]}, "a message of prompt has a role and a content"),
    "no content": ({"prompt": [{"role": "user", "text": "What?"}]}, "a message of prompt has a role and a content"),
    "null message": ({"prompt": [None]}, "a message of prompt has a role and a content"),
    "no truth": ({"reward_model": {"style": "rule"}}, "reward_model has no ground_truth, only ['style']"),
    "null rewards": ({"reward_model": None}, "reward_model and extra_info dicts"),
    "text prompt": ({"prompt": "What is 1?"}, "prompt must be a list of messages"),
}
# Rows with these are no problems, and not the end of a data set.
EMPTY = {
    "null truth": ({"reward_model": {"style": "rule", "ground_truth": None}}, "no answer"),
    "no question": ({"prompt": [{"role": "user", "content": " "}]}, "no question"),
}


def file_of(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def good(tmp_path):
    return file_of(tmp_path / "good.parquet", [ROW])


def refused(capsys, main, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, arguments)))
    assert caught.value.code == 2
    return capsys.readouterr().err


def rate(capsys, data, labels):
    return refused(capsys, add_difficulty.main, data, "--labels", labels, "--out", data.with_name("out.parquet"))


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_named_by_whoever_reads_them(tmp_path, capsys, good, case):
    changes, message = BAD[case]
    kept = [] if case in ("strings", "no content", "text prompt", "no truth") else [ROW]  # a column has one type
    bad = file_of(tmp_path / "bad.parquet", [*kept, ROW | changes])
    for error in (rate(capsys, bad, good), rate(capsys, good, bad)):
        assert f"bad.parquet row {len(kept)}: " in error and message in error
    for script in (deepscaler, e3):
        error = refused(capsys, script.main, "--source", bad, "--out", tmp_path / "out.parquet")
        assert f"row {len(kept)} of the source: " in error and message in error
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("case", EMPTY)
def test_rows_that_are_no_problems_are_named_or_counted(tmp_path, capsys, caplog, good, case):
    changes, message = EMPTY[case]
    bad = file_of(tmp_path / "bad.parquet", [ROW, ROW | changes])
    for error in (rate(capsys, bad, good), rate(capsys, good, bad)):
        assert f"bad.parquet row 1: {message}" in error
    deepscaler.main(["--source", str(bad), "--out", str(tmp_path / "out.parquet")])
    assert f"1 rows damaged: {message}" in caplog.text
    assert len(pq.read_table(tmp_path / "out.parquet")) == 1


def test_text_that_is_not_utf8_is_named_with_its_row(tmp_path, capsys, good):
    texts = pa.array([b"What?", b"\xe9"], pa.binary()).view(pa.string())
    messages = pa.StructArray.from_arrays([pa.array(["user"] * 2), texts], ["role", "content"])
    columns = {
        "prompt": pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), messages),
        "reward_model": pa.array([ROW["reward_model"]] * 2),
        "extra_info": pa.array([ROW["extra_info"]] * 2),
    }
    pq.write_table(pa.table(columns), tmp_path / "bad.parquet")
    for error in (rate(capsys, tmp_path / "bad.parquet", good), rate(capsys, good, tmp_path / "bad.parquet")):
        assert "bad.parquet row 1: its text is not UTF-8" in error


def test_a_file_that_is_damaged_in_its_middle_is_named(tmp_path, capsys, good):
    rows = [ROW | {"reward_model": {"style": "rule", "ground_truth": str(i)}} for i in range(3000)]
    bad = file_of(tmp_path / "bad.parquet", rows)
    content = bytearray(bad.read_bytes())
    middle = pq.read_metadata(bad).row_group(0).column(2).data_page_offset  # of the contents
    content[middle : middle + 64] = b"\xff" * 64
    bad.write_bytes(content)
    for error in (rate(capsys, bad, good), rate(capsys, good, bad)):
        assert "bad.parquet is not a parquet file, or damaged" in error


def test_a_difficulty_that_is_no_number(tmp_path, capsys, good):
    bad = file_of(tmp_path / "bad.parquet", [ROW | {"extra_info": {"difficulty": "hard"}}])
    assert "bad.parquet row 0: a difficulty must be a number, got 'hard'" in rate(capsys, good, bad)
    error = refused(capsys, deepscaler.main, "--source", bad, "--out", tmp_path / "out.parquet")
    assert "row 0 of the source: difficulty must be a number, got 'hard'" in error
    add_difficulty.main([str(bad), "--labels", str(good), "--out", str(tmp_path / "out.parquet")])
    assert pq.read_table(tmp_path / "out.parquet")["extra_info"].to_pylist() == [{"difficulty": 50.0}]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({"question_id": "0" * 16, "text": None, "success_rate": 0.5}, "question_id and text must be text"),
        ({"question_id": None, "text": "What?", "success_rate": 0.5}, "question_id and text must be text"),
        ({"question_id": "0" * 16, "text": "What?", "success_rate": 1.5}, "success_rate 1.5 is outside [0, 1]"),
        ({"question_id": "0" * 16, "text": "What?", "difficulty": None}, "a difficulty must be a number, got None"),
    ],
)
def test_bad_labels_are_named_with_their_row(tmp_path, capsys, good, label, message):
    right = {name: 0.5 if name in ("success_rate", "difficulty") else "What is 1?" for name in label}
    bad = file_of(tmp_path / "bad.parquet", [right, label])
    error = rate(capsys, good, bad)
    assert "bad.parquet row 1: " in error and message in error


def test_a_success_rate_that_is_text(tmp_path, capsys, good):
    bad = file_of(tmp_path / "bad.parquet", [{"question_id": "0" * 16, "text": "What?", "success_rate": "half"}])
    assert "bad.parquet row 0: a success_rate must be a number, got 'half'" in rate(capsys, good, bad)


def test_the_question_of_a_row_is_its_own_field_or_what_the_user_says(tmp_path):
    rows = [
        ROW | {"extra_info": {"question": "What is 2?"}},
        ROW | {"extra_info": {"question": 7}},
        ROW | {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 3?"}]},
    ]
    (tmp_path / "raw.json").write_text(json.dumps(rows))
    deepscaler.main(["--source", str(tmp_path / "raw.json"), "--out", str(tmp_path / "out.parquet")])
    infos = pq.read_table(tmp_path / "out.parquet")["extra_info"].to_pylist()
    assert [info["question"] for info in infos] == ["What is 2?", "What is 1?", "What is 3?"]
