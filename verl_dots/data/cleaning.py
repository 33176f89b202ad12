"""Data files written again without some of their rows, with the same columns and types, so that they go together."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import read_batches, schema_of
from verl_dots.files import OutputError, try_output, write_atomically

# Of a file's own types, which the cast changes.
_STALE = (b"huggingface", b"pandas", b"ARROW:schema")
CLEANED = b"verl_dots.cleaned"  # in the metadata of what is written here


def places(files: Sequence[str | Path], folder: Path) -> dict[str, Path]:
    """Where each file is written in a folder, tried.

    Raises:
        OutputError: two files have one name, or the folder cannot be written to, or holds the files themselves.
    """
    found: dict[str, Path] = {}
    for file in map(str, files):
        place = folder / f"{Path(file).stem}.parquet"
        if place in found.values():
            raise OutputError(
                f"two of the files would be written to {place}; rename one", key=str(place), reason="excluded"
            )
        try_output(place, inputs=list(files), option="--clean", made=_is_cleaned)
        found[file] = place
    return found


def write_clean(where: Mapping[str, Path], leave_out: Mapping[str, Collection[int]]) -> dict[str, int]:
    """Write files with one schema; the rows of each.

    Args:
        where: file -> where it is written, see `places`.
        leave_out: file -> numbers of the rows that are left out.

    Raises:
        QuestionError: a file cannot be read, a column has types that no type holds, or nothing is left of a file.
    """
    schemas = {file: schema_of(file) for file in where}
    common = common_schema(schemas)
    counts = {}
    for file, place in where.items():
        kept = {key: value for key, value in (schemas[file].metadata or {}).items() if key not in _STALE}
        counts[file] = sum(len(batch) for batch in _kept(file, leave_out[file]))
        if not counts[file]:
            raise QuestionError(f"nothing is left of {file} without its wrong rows", key=str(file), reason="data")
        write_atomically(place, partial(_write, file, common.with_metadata(kept | {CLEANED: b"1"}), leave_out[file]))
    return counts


def _is_cleaned(file: Path) -> bool:
    try:
        return CLEANED in (schema_of(file).metadata or {})
    except QuestionError:
        return False


def _write(file: str, schema: pa.Schema, leave_out: Collection[int], place: Path) -> None:
    with pq.ParquetWriter(place, schema) as writer:
        for batch in _kept(file, leave_out):
            there = set(batch.schema.names)
            columns = [
                batch[name].cast(kind) if name in there else pa.nulls(len(batch), kind)
                for name, kind in zip(schema.names, schema.types, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _kept(file: str, leave_out: Collection[int]) -> Iterator[pa.RecordBatch]:
    wrong = np.fromiter(leave_out, dtype=np.int64)
    first = 0
    for batch in read_batches(file):
        kept = np.setdiff1d(np.arange(first, first + len(batch)), wrong) - first
        first += len(batch)
        if len(kept):
            yield batch.take(pa.array(kept))


def common_schema(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """The columns of all files, each of a type that holds the values of all.

    Raises:
        QuestionError: there is no such type for a column.
    """
    kinds: dict[str, list[pa.DataType]] = {}
    for schema in schemas.values():
        for field in schema:
            kinds.setdefault(field.name, []).append(field.type)
    return pa.schema([(name, common_type(name, found)) for name, found in kinds.items()])


def common_type(name: str, kinds: Sequence[pa.DataType]) -> pa.DataType:
    """The type that holds values of all of some types: text and numbers as text, integers and decimals as float64.

    Raises:
        QuestionError: there is none.
    """
    kinds = [kind for kind in dict.fromkeys(map(_plain, kinds)) if not pa.types.is_null(kind)]
    if len(kinds) < 2 and not any(map(pa.types.is_nested, kinds)):
        return kinds[0] if kinds else pa.null()
    if all(map(pa.types.is_struct, kinds)):
        fields: dict[str, list[pa.DataType]] = {}
        for field in (field for kind in kinds for field in kind):
            fields.setdefault(field.name, []).append(field.type)
        return pa.struct([(each, common_type(f"{name}.{each}", found)) for each, found in fields.items()])
    if all(map(_is_list, kinds)):
        return pa.list_(common_type(f"{name}[]", [kind.value_type for kind in kinds]))
    if all(map(pa.types.is_integer, kinds)):
        return pa.int64()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return pa.float64()
    if all(pa.types.is_primitive(kind) or pa.types.is_string(kind) for kind in kinds):
        return pa.string()
    text = f"{name} is {' and '.join(map(str, kinds))}, and no type holds both; change one by hand"
    raise QuestionError(text, key=name, reason="type")


def _plain(kind: Any) -> pa.DataType:
    """Text that is only stored in another way as text."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view)
    return any(test(kind) for test in tests)
