"""The type of a column of several files, and its values in that type: the same ones, or none."""

import pyarrow as pa
import pytest

from tests.refusals import refused
from verl_dots.data.common_types import UnfitValueError, common_type, converted

INT, FLOAT, TEXT, LARGE, VIEW = pa.int64(), pa.float64(), pa.string(), pa.large_string(), pa.string_view()


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([INT, pa.int32()], INT),
        ([INT, pa.uint64()], INT),
        ([pa.uint8(), pa.uint64()], pa.uint64()),
        ([pa.uint64()], pa.uint64()),
        ([INT, FLOAT], FLOAT),
        ([INT, TEXT], TEXT),
        ([LARGE, TEXT, pa.dictionary(pa.int32(), TEXT), VIEW], TEXT),
        ([VIEW], TEXT),
        ([pa.binary_view(), pa.large_binary()], pa.binary()),
        ([pa.run_end_encoded(pa.int32(), VIEW)], TEXT),
        ([pa.null(), INT], INT),
        ([pa.null()], pa.null()),
        ([pa.struct([])], pa.null()),
        ([pa.large_list(LARGE), pa.list_(TEXT)], pa.list_(TEXT)),
        ([pa.list_view(VIEW), pa.large_list_view(pa.null()), pa.list_(INT, 2)], pa.list_(TEXT)),
        ([pa.map_(TEXT, INT)], pa.map_(TEXT, INT)),
        (
            [pa.struct([("a", INT), ("b", VIEW)]), pa.struct([("c", INT), ("a", FLOAT)])],
            pa.struct([("a", FLOAT), ("b", TEXT), ("c", INT)]),
        ),
    ],
)
def test_the_type_that_holds_all(kinds, expected):
    assert common_type("a", kinds) == expected


def test_numbers_that_no_number_holds_are_text_where_that_is_told():
    kinds = [pa.struct([("a", INT), ("b", INT)]), pa.struct([("a", FLOAT), ("b", FLOAT)])]
    assert common_type("info", kinds, {"info.a"}) == pa.struct([("a", TEXT), ("b", FLOAT)])


def test_there_is_no_type_for_text_and_structs():
    with refused("extra_info", "type", "string", "struct<a: int64>"):
        common_type("extra_info", [TEXT, pa.struct([("a", INT)])])


ROWS = [{"a": ["x", None], "b": 1}, None, {"a": None, "b": None}, {"a": [], "b": 2}, {"a": ["y"], "b": 3}]


@pytest.mark.parametrize(
    "stored",
    [LARGE, VIEW, pa.dictionary(pa.int8(), TEXT)],
    ids=str,
)
@pytest.mark.parametrize("listed", [pa.list_, pa.large_list, pa.list_view, pa.large_list_view])
def test_values_are_the_same_however_they_are_stored(listed, stored):
    found = pa.array(ROWS, pa.struct([("b", pa.int8()), ("a", listed(stored))]))
    kind = pa.struct([("a", pa.list_(TEXT)), ("b", INT), ("c", FLOAT)])
    expected = [row and row | {"c": None} for row in ROWS]
    for first in range(len(ROWS)):  # a slice begins within its lists
        there = converted("info", found.slice(first, 3), kind)
        there.validate(full=True)
        assert there.type == kind and there.to_pylist() == expected[first : first + 3]


def test_lists_of_one_length_and_runs_are_read_too():
    pairs = pa.array([[1, 2], None, [3, None]], pa.list_(pa.int32(), 2)).slice(1)
    assert converted("a", pairs, pa.list_(INT)).to_pylist() == [None, [3, None]]
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["x", None]))
    assert converted("a", runs, TEXT).to_pylist() == ["x", "x", None]


@pytest.mark.parametrize(
    ("values", "kind", "other"),
    [([2**63 + 5], pa.uint64(), INT), ([2**60 + 1], INT, FLOAT), ([2**63 + 5], pa.uint64(), FLOAT)],
)
def test_a_number_is_no_other_one_in_another_type(values, kind, other):
    found = pa.array([{"index": values}], pa.struct([("index", pa.list_(kind))]))
    with pytest.raises(UnfitValueError, match=str(values[0])) as caught:
        converted("info", found, pa.struct([("index", pa.list_(other))]))
    assert caught.value.column == "info.index[]"
    assert converted("a", pa.array(values, kind), TEXT).to_pylist() == [str(values[0])]


@pytest.mark.parametrize("kind", [FLOAT, pa.float32(), pa.float16()], ids=str)
def test_numbers_are_written_as_answers_are(kind):
    found = converted("a", pa.array([2.0, 0.5, -3.0, -0.0, None, 2048.0], kind), TEXT)
    assert found.to_pylist() == ["2", "0.5", "-3", "0", None, "2048"]
