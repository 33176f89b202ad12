"""verl-schema rows and parquet files: validation, stable ids, atomic writes."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.schema import make_row, row_schema, write_rows, write_stream
from tests.data_files import write
from verl_dots.data.provenance import read_provenance


def row(**changes):
    prompt = [{"role": "user", "content": "What is 1 plus 1?"}]
    fields = {"data_source": "toy", "prompt": prompt, "ability": "math", "ground_truth": "2"}
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
    assert read_provenance(write(tmp_path / "foreign.parquet", [{"a": 1}])) == {}


def numbered(count):
    for i in range(count):
        yield row(prompt=[{"role": "user", "content": f"What is {i}?"}], index=i, extra={"level": float(i)})


def stream(rows, path, provenance):
    return write_stream(rows, path, row_schema({"level": pa.float64()}), provenance)


@pytest.mark.parametrize(("writer", "groups"), [(write_rows, 1), (stream, 3)])
def test_writing_and_reading_back(tmp_path, monkeypatch, writer, groups):
    monkeypatch.setattr("data_prep.schema.ROWS_PER_GROUP", 4)
    path = tmp_path / "new" / "train.parquet"
    writer(list(numbered(10)), path, {"seed": 1})
    assert pq.read_table(path).to_pylist() == list(numbered(10))
    assert pq.read_metadata(path).num_row_groups == groups
    assert read_provenance(path) == {"seed": 1}


def test_fields_that_a_streamed_row_lacks_are_null(tmp_path):
    assert stream([row()], tmp_path / "a.parquet", {}) == 1
    assert pq.read_table(tmp_path / "a.parquet").to_pylist()[0]["extra_info"]["level"] is None


@pytest.mark.parametrize(
    ("writer", "rows", "message"),
    [
        (write_rows, [], "no rows to write"),
        (write_rows, [row(), row(index=1)], "rows 0 and 1 are the same question"),
        (stream, [], "no rows to write"),
        (stream, [row(), row(index=1)], "row 1 repeats an earlier question"),
        (stream, [row(extra={"colour": "red"})], r"row 0: extra_info has \['colour'\]"),
    ],
)
def test_rows_that_cannot_be_written_leave_the_old_file(tmp_path, writer, rows, message):
    path = tmp_path / "train.parquet"
    write_rows([row()], path, {"seed": 1})
    with pytest.raises(ValueError, match=message):
        writer(rows, path, {"seed": 2})
    assert [entry.name for entry in tmp_path.iterdir()] == ["train.parquet"]
    assert read_provenance(path) == {"seed": 1}
