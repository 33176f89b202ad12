"""Files written again: without some rows, and of one schema."""

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data_files import row, write
from tests.refusals import refused
from verl_dots.check import main
from verl_dots.data.cleaning import places, write_clean
from verl_dots.data.column_types import type_problems


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


def truths(path, values, kind):
    """A file in verl's schema with these ground truths, of this type."""
    given = [row(f"What is question {place} of {path.stem}?", None) for place in range(len(values))]
    table = pa.Table.from_pylist(given)
    fields = [pa.array(["rule"] * len(values)), pa.array(values, kind)]
    reward_model = pa.StructArray.from_arrays(fields, names=["style", "ground_truth"])
    pq.write_table(table.set_column(table.schema.get_field_index("reward_model"), "reward_model", reward_model), path)
    return path


CASES = {
    "views": [(["1", None, "3"], pa.string_view(), ["1", "3"])],
    "numbers and text": [
        (["1"], pa.string(), ["1"]),
        ([1e10, 0.1, 2, 3, 1e15], pa.float64(), ["10000000000", "0.1", "2", "3", "1000000000000000"]),
    ],
    "too large for both": [([5], pa.int64(), ["5"]), ([2**63 + 5], pa.uint64(), ["9223372036854775813"])],
    "too long for float64": [
        ([2**60 + 1, 7], pa.int64(), ["1152921504606846977", "7"]),
        ([0.5, 2], pa.float64(), ["0.5", "2"]),
    ],
    "one number for both": [([5], pa.int64(), [5.0]), ([0.5], pa.float64(), [0.5])],
}


@pytest.mark.parametrize("case", CASES)
def test_cleaned_files_can_be_trained_on_whatever_their_types_were(tmp_path, case):
    files = [truths(tmp_path / f"{n}.parquet", values, kind) for n, (values, kind, _) in enumerate(CASES[case])]
    assert main([*map(str, files), "--clean", str(tmp_path / "clean")]) == 0
    cleaned = sorted((tmp_path / "clean").iterdir())
    assert main(list(map(str, cleaned))) == 0
    for file, (_, _, expected) in zip(cleaned, CASES[case], strict=True):
        assert [each["reward_model"]["ground_truth"] for each in pq.read_table(file).to_pylist()] == expected


def test_what_no_type_holds_is_refused_before_anything_is_written(tmp_path):
    """Times of a zone that is unknown here have no text."""
    times = pa.array([0], pa.timestamp("us", "Nowhere/Else"))
    files = [tmp_path / "text.parquet", tmp_path / "times.parquet"]
    for file, column in zip(files, (pa.array(["noon"]), times), strict=True):
        pq.write_table(pa.table({"when": column}), file)
    with refused("when", "type", str(files[1]), "Nowhere/Else", "by hand"):
        write_clean(places(files, tmp_path / "clean"), dict.fromkeys(map(str, files), ()))
    assert not (tmp_path / "clean").exists()
