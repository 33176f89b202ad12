"""Reading local files row by row."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import raw_files
from data_prep.raw_files import read_file
from tests.data_files import text_of
from tests.refusals import refused
from verl_dots.data import rows

ROWS = [{"a": 1, "b": "x, ] } {"}, {"a": 22, "b": "\u00e9\n"}, {"a": [3, {"c": None}], "b": ""}]
WRITERS = {
    "array.json": lambda: json.dumps(ROWS).encode(),
    "pretty.json": lambda: json.dumps(ROWS, indent=2).encode(),
    "objects.json": lambda: "\n\n".join(json.dumps(row, indent=1) for row in ROWS).encode(),
    "lines.jsonl": lambda: ("\n".join(json.dumps(row) for row in ROWS) + "\n").encode(),
    "mark.jsonl": lambda: ("\ufeff" + "\n".join(json.dumps(row) for row in ROWS)).encode(),
    "lines.jsonl.gz": lambda: gzip.compress("\n".join(json.dumps(row) for row in ROWS).encode()),
}


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", WRITERS)
def test_rows_do_not_depend_on_the_form_or_the_pieces(tmp_path, monkeypatch, name, piece):
    monkeypatch.setattr(raw_files, "PIECE_CHARACTERS", piece)
    (tmp_path / name).write_bytes(WRITERS[name]())
    assert list(read_file(tmp_path / name)) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("numbers.json", "[12, 345 ,6]", [12, 345, 6]),
        ("numbers.jsonl", "12\n345", [12, 345]),
        ("arrays.jsonl", "[1, 2]\n[3]\n", [[1, 2], [3]]),
        ("one_object.json", '{"problem": "p"}', [{"problem": "p"}]),
    ],
)
def test_values_of_all_kinds_are_whole_though_they_span_pieces(tmp_path, monkeypatch, name, content, expected):
    monkeypatch.setattr(raw_files, "PIECE_CHARACTERS", 1)
    (tmp_path / name).write_text(content)
    assert list(read_file(tmp_path / name)) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b""),
        ("a.csv", b"a,b"),
        ("a.json", b"PAR1 nonsense"),
        ("a.json", b'[{"a": 1}, {"a"'),
        ("a.json", b'[{"a": 1}'),
        ("a.json", b'[{"a": 1} {"a": 2}]'),
        ("a.json", b'[{"a": 1}] tail'),
        ("a.jsonl", b'{"a": "\xe9"}'),
        ("a.jsonl.gz", b'{"a": 1}'),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}' * 99, mtime=0)[:-9]),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}', mtime=0)[:10] + b"\xff" * 20),
        ("a.json", b"[" * 100_000),
        ("a.json", b"9" * 5000),
        ("a.parquet", b'{"a": 1}'),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with refused(str(tmp_path / name), "file"):
        list(read_file(tmp_path / name))


def test_parquet_with_text_that_is_not_utf8(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BATCH_ROWS", 2)
    pq.write_table(pa.table({"problem": text_of([b"a", b"b", b"c", b"\xe9"])}), tmp_path / "a.parquet")
    with refused(str(tmp_path / "a.parquet"), "data", "row 3: "):
        list(read_file(tmp_path / "a.parquet"))
