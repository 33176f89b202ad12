"""Whether data files can be read as one data set: verl loads each with `datasets` and puts them one behind the other.

That asks for one type of every column and of every field in a struct. Missing columns and fields are filled with null,
and their order is free.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import schema_of

SHOWN = 160  # characters of a type


@dataclass(frozen=True)
class Typed:
    """A column or field as a file has it: `feature` as `datasets` reads it, `arrow` as the file says."""

    file: str
    feature: Any
    arrow: str


@dataclass(frozen=True)
class Difference:
    """A column, or a field of one, of different types in two files."""

    column: str
    one: Typed
    other: Typed

    def __str__(self) -> str:
        types = [f"{typed.arrow[:SHOWN]} in {typed.file}" for typed in (self.one, self.other)]
        if _is_null(self.one.feature):  # the one order that `datasets` cannot read
            return f"{self.column} is {' and '.join(types)}: name {self.other.file} first, or leave the column out"
        return f"{self.column} is {' and '.join(types)}"


def type_problems(files: Sequence[str | Path]) -> list[str]:
    """Why `datasets` would not read some files as one, each column that differs with both files and types.

    Raises:
        QuestionError: a file cannot be read at all, or holds a type that `datasets` does not know.
    """
    schemas = {str(file): schema_of(file) for file in files}
    features = {file: _features(file, schema) for file, schema in schemas.items()}
    merged: dict[str, Any] = {}
    found = []
    for file in features:
        types = {field.name: field.type for field in schemas[file]}
        found += [str(difference) for difference in _merge(merged, features[file], types, file)]
    if not found and (refusal := _refusal(list(features.values()))):
        found = [f"{' and '.join(features)}: datasets cannot read them as one: {refusal}"]
    return found


def _features(file: str, schema: pa.Schema) -> Mapping[str, Any]:
    """The types of a file's columns as `datasets` reads them."""
    import datasets

    try:
        return datasets.Features.from_arrow_schema(schema)
    except (ValueError, NotImplementedError, pa.ArrowException) as error:
        text = f"{file}: {error}; write that column as another type, or leave it out"
        raise QuestionError(text, key=str(file), reason="type") from error


def _merge(
    merged: dict[str, Any], features: Mapping[str, Any], types: Mapping[str, pa.DataType], file: str, above: str = ""
) -> Iterator[Difference]:
    """Take the columns of a further file into those of the files before; where they do not fit.

    A struct is a dict of its fields in `merged`, all else `Typed`.
    """
    for name, feature in features.items():
        known = merged.get(name)
        fields = isinstance(feature, Mapping)
        here = Typed(file, feature, str(types[name]))
        if known is None or (isinstance(known, Typed) and _is_null(known.feature) and not fields):
            merged[name] = _Struct(here) if fields else here
            known = merged[name]
        if fields and isinstance(known, _Struct):
            yield from _merge(known, feature, _fields(types[name]), file, f"{above}{name}.")
        elif (fields or isinstance(known, _Struct) or known.feature != feature) and not _is_null(feature):
            yield Difference(f"{above}{name}", known.typed if isinstance(known, _Struct) else known, here)


class _Struct(dict[str, Any]):
    """The fields of a struct in all files so far, and the struct as the first of them has it."""

    def __init__(self, typed: Typed):
        super().__init__()
        self.typed = typed


def _fields(kind: pa.DataType) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in kind}


def _is_null(feature: Any) -> bool:
    """Whether a feature holds nulls only, or lists of them: such a column takes the type of the others'."""
    inner = getattr(feature, "feature", None)
    return getattr(feature, "dtype", None) == "null" if inner is None else _is_null(inner)


def _refusal(features: Sequence[Mapping[str, Any]]) -> str | None:
    """What `datasets` says when it puts files of these types one behind the other, asked with a row of nulls each."""
    import datasets

    rows = []
    for each in features:
        schema = datasets.Features(each).arrow_schema
        nulls = [pa.nulls(1, field.type) for field in schema]
        rows.append(datasets.Dataset(pa.Table.from_arrays(nulls, schema=schema)))
    try:
        datasets.concatenate_datasets(rows)
    except (ValueError, TypeError, pa.ArrowException) as error:
        return str(error)
    return None
