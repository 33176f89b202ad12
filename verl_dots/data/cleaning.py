"""Data files written again without some of their rows, with the same columns and types, so that they go together."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.data.common_types import UnfitValueError, common_schema, converted
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
    common, counts = _tried(schemas, leave_out)
    if empty := [file for file, rows in counts.items() if not rows]:
        raise QuestionError(f"nothing is left of {empty[0]} without its wrong rows", key=str(empty[0]), reason="data")
    for file, place in where.items():
        kept = {key: value for key, value in (schemas[file].metadata or {}).items() if key not in _STALE}
        write_atomically(place, partial(_write, file, common.with_metadata(kept | {CLEANED: b"1"}), leave_out[file]))
    return counts


def _tried(
    schemas: Mapping[str, pa.Schema], leave_out: Mapping[str, Collection[int]]
) -> tuple[pa.Schema, dict[str, int]]:
    """A schema that holds each value of all files, and the rows of each; numbers that no other type holds are text.

    It is found before anything is written, by reading all.
    """
    as_text: set[str] = set()
    while True:
        common, counts = common_schema(schemas, as_text), dict.fromkeys(schemas, 0)
        try:
            for file in schemas:
                counts[file] = sum(len(batch) for batch in _batches(file, common, leave_out[file]))
            return common, counts
        except UnfitValueError as error:
            if error.column in as_text:
                text = f"{file}: no type holds the values of all files for {error}; change that column by hand"
                raise QuestionError(text, key=error.column, reason="type") from error
            as_text.add(error.column)


def _is_cleaned(file: Path) -> bool:
    try:
        return CLEANED in (schema_of(file).metadata or {})
    except QuestionError:
        return False


def _write(file: str, schema: pa.Schema, leave_out: Collection[int], place: Path) -> None:
    with pq.ParquetWriter(place, schema) as writer:
        for batch in _batches(file, schema, leave_out):
            writer.write_batch(batch)


def _batches(file: str, schema: pa.Schema, leave_out: Collection[int]) -> Iterator[pa.RecordBatch]:
    """The rows of a file that are not left out, in the columns and types of a schema."""
    wrong = np.fromiter(leave_out, dtype=np.int64)
    first = 0
    for batch in read_batches(file):
        kept = np.setdiff1d(np.arange(first, first + len(batch)), wrong) - first
        first += len(batch)
        if len(kept):
            # Before rows are taken, for arrow takes none of views; and not yet in the schema, which may not hold all.
            own = common_schema({file: batch.schema})
            yield _in(schema, _in(own, batch).take(pa.array(kept)))


def _in(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    there, missing = set(batch.schema.names), pa.nulls(len(batch))
    columns = [
        converted(field.name, batch[field.name] if field.name in there else missing, field.type) for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
