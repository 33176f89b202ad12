"""Files written again: without some rows, and of one schema."""

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data_files import write
from tests.refusals import refused
from verl_dots.data.cleaning import common_type, places, write_clean
from verl_dots.data.column_types import type_problems

INT, FLOAT, TEXT, LARGE = pa.int64(), pa.float64(), pa.string(), pa.large_string()


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([INT, pa.int32()], INT),
        ([INT, FLOAT], FLOAT),
        ([INT, TEXT], TEXT),
        ([LARGE, TEXT, pa.dictionary(pa.int32(), TEXT), pa.string_view()], TEXT),
        ([pa.null(), INT], INT),
        ([pa.large_list(LARGE), pa.list_(TEXT)], pa.list_(TEXT)),
        (
            [pa.struct([("a", INT), ("b", TEXT)]), pa.struct([("c", INT), ("a", FLOAT)])],
            pa.struct([("a", FLOAT), ("b", TEXT), ("c", INT)]),
        ),
    ],
)
def test_the_type_that_holds_all(kinds, expected):
    assert common_type("a", kinds) == expected


def test_there_is_no_type_for_text_and_structs():
    with refused("extra_info", "type", "string", "struct<a: int64>"):
        common_type("extra_info", [TEXT, pa.struct([("a", INT)])])


def rows(*indices, **more):
    return [{"reward_model": {"ground_truth": f"{i}"}, "extra_info": {"index": i}} | more for i in indices]


def test_rows_leave_and_the_files_go_together(tmp_path):
    one, other = write(tmp_path / "one.parquet", rows(0, 1, 2, 3)), tmp_path / "other.parquet"
    infos = [{"index": "4", "level": 1}, {"index": "5", "level": 1}]
    text = [row | {"extra_info": info} for row, info in zip(rows(4, 5, rank=0.5), infos, strict=True)]
    pq.write_table(pa.Table.from_pylist(text).replace_schema_metadata({"verl_dots.provenance": "{}"}), other)
    assert type_problems([one, other]) != []
    where = places([one, other], tmp_path / "clean")
    assert write_clean(where, {str(one): {0, 3}, str(other): set()}) == {str(one): 2, str(other): 2}
    assert type_problems(list(where.values())) == []
    assert pq.read_table(where[str(one)]).to_pylist() == [
        {"reward_model": {"ground_truth": f"{i}"}, "extra_info": {"index": f"{i}", "level": None}, "rank": None}
        for i in (1, 2)
    ]
    assert pq.read_table(where[str(other)]).to_pylist() == text
    assert pq.read_schema(where[str(other)]).metadata[b"verl_dots.provenance"] == b"{}"
    load = [datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path)) for path in where.values()]
    assert len(datasets.concatenate_datasets([each["train"] for each in load])) == 4


def test_nothing_is_written_over_what_is_read_or_twice(tmp_path):
    (tmp_path / "b").mkdir()
    files = [write(tmp_path / name, rows(1)) for name in ("a.parquet", "b/a.parquet")]
    with refused("--clean", "excluded", "a.parquet"):
        places(files[:1], tmp_path)
    with refused(f"{tmp_path}/clean/a.parquet", "excluded"):
        places(files, tmp_path / "clean")
    where = places(files[:1], tmp_path / "clean")
    with refused(str(files[0]), "data"):
        write_clean(where, {str(files[0]): {0}})
    assert not (tmp_path / "clean").exists()
