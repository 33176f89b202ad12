"""Which files are read as one: what `datasets` does with files of these types decides."""

import itertools

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.refusals import refused
from verl_dots.data.column_types import type_problems

TEXT = pa.string()
# extra_info of a file, or another column; two rows each
KINDS = {
    "int": [{"index": 1}, {"index": 2}],
    "small int": pa.array([{"index": 1}, {"index": 2}], pa.struct([("index", pa.int32())])),
    "float": [{"index": 1.0}, {"index": 2.5}],
    "text": [{"index": "1"}, {"index": "2"}],
    "large text": pa.array([{"index": "1"}, None], pa.struct([("index", pa.large_string())])),
    "nothing in it": [{"index": None}, {"index": None}],
    "another field": [{"index": 1, "split": "train"}, {"index": 2, "split": None}],
    "another order": [{"split": "train", "index": 1}, {"split": "train", "index": 2}],
    "a struct in it": [{"index": 1, "more": {"a": 1}}, {"index": 2, "more": {"a": 2}}],
    "other fields in it": [{"index": 1, "more": {"b": 1}}, {"index": 2, "more": {"b": 2}}],
    "another type in it": [{"index": 1, "more": {"a": "1"}}, {"index": 2, "more": {"a": "2"}}],
    "empty lists": [{"index": 1, "tags": []}, {"index": 2, "tags": []}],
    "lists": [{"index": 1, "tags": [1]}, {"index": 2, "tags": []}],
    "nulls": pa.nulls(2),
    "JSON": ['{"index": 1}', '{"index": 2}'],
    "no column": None,
}
# Each of these with each; the others with "int" alone.
INTRICATE = {"nothing in it", "a struct in it", "another type in it", "lists", "empty lists", "nulls", "JSON"}


def write(path, extra_info=None, **columns):
    message = [{"role": "user", "content": "1 + 1?"}]
    table = {"data_source": ["math"] * 2, "prompt": [message] * 2, "reward_model": [{"ground_truth": "2"}] * 2}
    table |= columns if extra_info is None else {"extra_info": extra_info} | columns
    pq.write_table(pa.table({name: pa.array(values) for name, values in table.items()}), path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("types")
    return {name: write(folder / f"{name}.parquet", rows) for name, rows in KINDS.items()}


def test_files_go_together_where_datasets_reads_them_as_one(files, tmp_path):
    loaded = {
        name: datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path), split="train")
        for name, path in files.items()
    }

    def together(*names):
        try:
            return len(datasets.concatenate_datasets([loaded[name] for name in names])[:]["prompt"]) == 2 * len(names)
        except (ValueError, AttributeError, pa.ArrowException):  # the second is what nulls before a struct end in
            return False

    three = [
        ("a struct in it", "other fields in it", "another type in it"),
        ("int", "nulls", "text"),
        ("nothing in it", "nothing in it", "float"),
        ("no column", "nulls", "JSON"),
        ("nulls", "no column", "int"),
    ]
    two = [pair for pair in itertools.permutations(files, 2) if "int" in pair or not set(pair) - INTRICATE]
    outcomes = {names: together(*names) for names in (*two, *three)}
    assert outcomes == {names: not type_problems([files[name] for name in names]) for names in outcomes}
    assert outcomes["int", "another order"] and not outcomes["int", "float"] and not outcomes["nulls", "int"]


def test_the_columns_are_named_with_both_files_and_types(files, tmp_path):
    int_, text = files["int"], files["text"]
    assert type_problems([int_, text]) == [f"extra_info.index is int64 in {int_} and string in {text}"]
    assert type_problems([text, int_, text]) == [f"extra_info.index is string in {text} and int64 in {int_}"]
    deep = type_problems([files["a struct in it"], files["another type in it"]])
    assert len(deep) == 1 and deep[0].startswith("extra_info.more.a is int64 in ")
    [order] = type_problems([files["nulls"], int_])
    assert order.endswith(f"name {int_} first, or leave the column out") and type_problems([int_, files["nulls"]]) == []
    kind = pa.large_list(pa.struct([("role", TEXT), ("content", TEXT)]))
    large = pa.array([[{"role": "user", "content": "?"}]] * 2, kind)
    other = write(tmp_path / "polars.parquet", prompt=large, data_source=pa.array(["a", "b"], pa.large_string()))
    problems = type_problems([int_, other])
    assert problems[0] == f"data_source is string in {int_} and large_string in {other}"
    assert problems[1].startswith("prompt is list<") and " and large_list<element: struct<role: string, " in problems[1]


def test_text_in_other_storage_is_text(tmp_path, files):
    categories = pa.array(["a", "b"]).dictionary_encode()
    assert type_problems([files["int"], write(tmp_path / "pandas.parquet", data_source=categories)]) == []


def test_a_type_that_datasets_does_not_know_is_refused_in_a_file_alone(tmp_path):
    file = write(tmp_path / "map.parquet", seen=pa.array([[("a", 1)]] * 2, pa.map_(TEXT, pa.int64())))
    with refused(str(file), "type", "map<string, int64"):
        type_problems([file])
