"""verl-schema rows and parquet files: validation, stable ids, atomic writes."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.schema import make_row, row_schema, write_rows, write_stream
from verl_dots.data.provenance import read_provenance

PROMPT = [{"role": "user", "content": "What is 1 plus 1?"}]


def row(**changes):
    fields = {"data_source": "toy", "prompt": PROMPT, "ability": "math", "ground_truth": "2"}
    return make_row(**(fields | {"index": 0, "split": "val"} | changes))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data_source": ""}, TypeError, "data_source must be a non-empty string"),
        ({"ground_truth": 2}, TypeError, r"convert numbers with str\(\)"),
        ({"index": -1}, ValueError, "index must be an integer >= 0, got -1"),
        ({"prompt": "What is 1 plus 1?"}, TypeError, "non-empty list"),
        ({"prompt": [{"role": "human", "content": "x"}]}, ValueError, "unknown role 'human'; known roles"),
        ({"prompt": [{"role": "user", "text": "x"}]}, ValueError, "exactly the keys"),
        ({"extra": {"index": 4}}, ValueError, r"extra must not contain \['index'\]"),
    ],
)
def test_bad_rows_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        row(**changes)


def test_writing_and_reading_back(tmp_path):
    path = tmp_path / "new" / "val.parquet"
    write_rows([row()], path, {"seed": 1})
    assert pq.read_table(path).to_pylist() == [row()]
    assert read_provenance(path) == {"seed": 1}


def test_repeated_questions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="rows 0 and 1 are the same question"):
        write_rows([row(), row(index=1)], tmp_path / "val.parquet", {})


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "val.parquet"
    write_rows([row()], path, {"seed": 1})

    def break_off(_table, target):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("verl_dots.data.provenance.pq.write_table", break_off)
    with pytest.raises(OSError, match="disk full"):
        write_rows([row(), row(ground_truth="3", index=1)], path, {"seed": 2})
    assert [entry.name for entry in tmp_path.iterdir()] == ["val.parquet"]
    assert read_provenance(path) == {"seed": 1}


def test_a_file_of_other_origin_has_no_provenance(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    assert read_provenance(tmp_path / "foreign.parquet") == {}


def numbered(count):
    return (
        row(prompt=[{"role": "user", "content": f"What is {i}?"}], index=i, extra={"level": i}) for i in range(count)
    )


def test_a_stream_is_written_in_row_groups_and_reads_back(tmp_path, monkeypatch):
    monkeypatch.setattr("data_prep.schema.ROWS_PER_GROUP", 4)
    path = tmp_path / "new" / "train.parquet"
    assert write_stream(numbered(10), path, row_schema({"level": pa.int64()}), {"seed": 1}) == 10
    assert pq.read_table(path).to_pylist() == list(numbered(10))
    assert pq.ParquetFile(path).metadata.num_row_groups == 3
    assert read_provenance(path) == {"seed": 1}


def test_the_same_stream_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_stream(numbered(10), tmp_path / name, row_schema({"level": pa.int64()}), {"seed": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_fields_that_a_streamed_row_lacks_are_null(tmp_path):
    write_stream([row()], tmp_path / "a.parquet", row_schema({"level": pa.int64()}), {})
    assert pq.read_table(tmp_path / "a.parquet").to_pylist()[0]["extra_info"]["level"] is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows to write"),
        ([row(), row(index=1)], "row 1 repeats an earlier question"),
        ([row(extra={"colour": "red"})], r"row 0: extra_info has \['colour'\]"),
    ],
)
def test_a_stream_that_cannot_be_written_leaves_the_old_file(tmp_path, rows, message):
    path = tmp_path / "train.parquet"
    write_rows([row()], path, {"seed": 1})
    with pytest.raises(ValueError, match=message):
        write_stream(rows, path, row_schema(), {"seed": 2})
    assert [entry.name for entry in tmp_path.iterdir()] == ["train.parquet"]
    assert read_provenance(path) == {"seed": 1}
