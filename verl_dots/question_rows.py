"""Rows of data files in verl's schema, read piece by piece: parquet, or JSON as verl's own reader takes it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_ROWS = 4096
SUFFIXES = (".parquet", ".json", ".jsonl")  # what verl's data set reads


class QuestionError(ValueError):
    """A row that is no question, or a file that holds none; the message names file, row and fix."""


def read_rows(
    files: Sequence[str | Path], prompt_key: str = "prompt", more: Sequence[str] = ()
) -> Iterator[dict[str, Any] | None]:
    """Rows of data files in order, with the fields that make a question and no others, read piece by piece.

    A row whose text is not UTF-8 is None.

    Args:
        more: columns that are read too, where they are there.

    Raises:
        QuestionError: a file is missing, of another kind, damaged, or lacks a column.
    """
    for file in files:
        schema = schema_of(file)
        columns = [*_columns(file, schema, prompt_key), *(name for name in more if name in schema.names)]
        if str(file).endswith(SUFFIXES[1:]):
            yield from _json(file).select_columns(list(dict.fromkeys(name.split(".")[0] for name in columns)))
            continue
        with _errors(file):
            for batch in pq.ParquetFile(Path(file).expanduser()).iter_batches(BATCH_ROWS, columns=columns):
                yield from _decoded(batch)


def schema_of(file: str | Path) -> pa.Schema:
    """Columns and types of a data file.

    Raises:
        QuestionError: it is missing, of another kind, or damaged.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        what = "is a folder; name the files in it" if path.is_dir() else "is not there"
        raise QuestionError(f"there is no file {str(file)!r}, it {what}; data_prep/ has scripts that write data sets")
    if not path.name.endswith(SUFFIXES):
        raise QuestionError(
            f"{file} is of another kind than verl reads; allowed: {', '.join(SUFFIXES)}. Write its rows as parquet, in "
            "verl's schema"
        )
    if path.name.endswith(".parquet"):
        with _errors(file):
            return pq.read_schema(path)
    return _json(file).features.arrow_schema


def read_batches(file: str | Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Rows of a data file piece by piece, of these columns or all. Raises QuestionError for what is none."""
    if str(file).endswith(SUFFIXES[1:]):
        rows = _json(file)
        for table in (rows if columns is None else rows.select_columns(columns)).with_format("arrow").iter(BATCH_ROWS):
            yield from table.combine_chunks().to_batches()
        return
    with _errors(file):
        yield from pq.ParquetFile(Path(file).expanduser()).iter_batches(BATCH_ROWS, columns=columns)


def count_rows(file: str | Path) -> int:
    """Rows of a data file. Raises QuestionError for what is none."""
    if str(file).endswith(SUFFIXES[1:]):
        return len(_json(file))
    with _errors(file):
        return pq.read_metadata(Path(file).expanduser()).num_rows


def _json(file: str | Path) -> Any:
    """The `datasets.Dataset` that verl makes of a JSON file; on disk, mapped into memory."""
    import datasets

    try:
        return datasets.load_dataset("json", data_files=str(Path(file).expanduser()), split="train")
    except (datasets.exceptions.DatasetsError, pa.ArrowException, OSError, ValueError) as error:
        raise QuestionError(f"{file} is no JSON that verl can read, or damaged: {error.__cause__ or error}") from error


@contextmanager
def _errors(file: str | Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise QuestionError(f"{file} is not a parquet file, or damaged: {error}") from error


def _decoded(batch: pa.RecordBatch) -> list[dict[str, Any] | None]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        if len(batch) == 1:
            return [None]
        half = len(batch) // 2
        return _decoded(batch.slice(0, half)) + _decoded(batch.slice(half))


def _columns(file: str | Path, schema: pa.Schema, prompt_key: str) -> list[str]:
    """Columns to read, as parquet names them; `extra_info` may hold anything else."""
    missing = [name for name in (prompt_key, "reward_model") if name not in schema.names]
    if missing:
        raise QuestionError(f"{file} has no column {missing}, only {schema.names}; data.prompt_key names the prompt's")
    check_structs(file, schema)
    if not _has_field(schema, "reward_model", "ground_truth"):
        raise QuestionError(f"{file}: reward_model has no ground_truth; without it no answer can be scored")
    text = ["extra_info.question"] if _has_field(schema, "extra_info", "question") else []
    return [prompt_key, "reward_model.ground_truth", *text]


def check_structs(file: str | Path, schema: pa.Schema) -> None:
    """Raise QuestionError unless reward_model and extra_info hold fields: verl asks both for them by name."""
    for name in ("reward_model", "extra_info"):
        kind = schema.field(name).type if name in schema.names else pa.null()
        if not pa.types.is_struct(kind) and not pa.types.is_null(kind):
            advice = "json.loads of each row's text, written again, makes one" if _is_text(kind) else "write it as one"
            raise QuestionError(f"{file}: {name} is {kind}; it must be a struct (a dict in each row). {advice}")


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _has_field(schema: pa.Schema, column: str, field: str) -> bool:
    if column not in schema.names:
        return False
    kind = schema.field(column).type
    return pa.types.is_struct(kind) and kind.get_field_index(field) >= 0
