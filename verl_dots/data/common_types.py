"""One type for a column of several files, and its values in that type: never others than the files hold."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from verl_dots.data.file_lists import QuestionError
from verl_dots.texts import number_text

_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_LISTS = (
    *(pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list),
    *(pa.types.is_list_view, pa.types.is_large_list_view),
)


class UnfitValueError(Exception):
    """A type does not hold a value of a column, whose name is `column`."""

    def __init__(self, column: str, why: object):
        super().__init__(column, why)
        self.column, self.why = column, why

    def __str__(self) -> str:
        return f"{self.column}: {self.why}"


def common_schema(schemas: Mapping[str, pa.Schema], as_text: Collection[str] = ()) -> pa.Schema:
    """The columns of all files, each of a type that holds the values of all.

    Args:
        as_text: columns and fields whose numbers no type of numbers holds.

    Raises:
        QuestionError: there is no such type for a column.
    """
    kinds: dict[str, list[pa.DataType]] = {}
    for schema in schemas.values():
        for field in schema:
            kinds.setdefault(field.name, []).append(field.type)
    return pa.schema([(name, common_type(name, found, as_text)) for name, found in kinds.items()])


def common_type(name: str, kinds: Sequence[pa.DataType], as_text: Collection[str] = ()) -> pa.DataType:
    """The type that holds values of all of some types: text and numbers as text, integers and decimals as float64.

    A type alone stays, but for what is only stored in another way: views and dictionaries.

    Raises:
        QuestionError: there is none.
    """
    kinds = [kind for kind in dict.fromkeys(map(_plain, kinds)) if not pa.types.is_null(kind)]
    if kinds and all(map(pa.types.is_struct, kinds)):
        fields: dict[str, list[pa.DataType]] = {}
        for field in (field for kind in kinds for field in kind):
            fields.setdefault(field.name, []).append(field.type)
        return pa.struct([(each, common_type(f"{name}.{each}", found, as_text)) for each, found in fields.items()])
    if kinds and all(map(_is_list, kinds)):
        return pa.list_(common_type(f"{name}[]", [kind.value_type for kind in kinds], as_text))
    if len(kinds) < 2:
        return kinds[0] if kinds else pa.null()
    if name not in as_text and all(map(pa.types.is_integer, kinds)):
        return pa.uint64() if all(map(pa.types.is_unsigned_integer, kinds)) else pa.int64()
    if name not in as_text and all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return pa.float64()
    if all(pa.types.is_primitive(kind) or pa.types.is_string(kind) for kind in kinds):
        return pa.string()
    text = f"{name} is {' and '.join(map(str, kinds))}, and no type holds both; change one by hand"
    raise QuestionError(text, key=name, reason="type")


def converted(name: str, array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values of a column in a type that `common_type` has found for it.

    Raises:
        UnfitValueError: that type does not hold one of them.
    """
    if array.type == kind:
        return array
    if pa.types.is_null(array.type) or pa.types.is_null(kind):
        return pa.nulls(len(array), kind)
    if pa.types.is_dictionary(array.type):
        return converted(name, array.dictionary_decode(), kind)
    if pa.types.is_run_end_encoded(array.type):
        return converted(name, pc.run_end_decode(array), kind)
    if pa.types.is_struct(kind) and pa.types.is_struct(array.type):
        there = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
        fields = [
            converted(f"{name}.{field.name}", there.get(field.name, pa.nulls(len(array))), field.type) for field in kind
        ]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind) and _is_list(array.type):
        # A cast of list views leaves offsets that are too short (seen in pyarrow 26.0).
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        values = converted(f"{name}[]", pc.list_flatten(array), kind.value_type)
        return pa.ListArray.from_arrays(offsets, values, type=kind, mask=array.is_null())
    if pa.types.is_string(kind) and pa.types.is_floating(array.type):
        return pa.array([None if value is None else number_text(value) for value in array.to_pylist()], kind)
    try:
        return array.cast(kind)
    except pa.ArrowException as error:
        raise UnfitValueError(name, error) from error


def _plain(kind: Any) -> pa.DataType:
    """What is only stored in another way as the type that all can read."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _plain(kind.value_type)
    if any(test(kind) for test in _TEXTS):
        return pa.string()
    if any(test(kind) for test in _BYTES):
        return pa.binary()
    return pa.null() if pa.types.is_struct(kind) and not kind.num_fields else kind


def _is_list(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _LISTS)
