"""Rows of parquet files in verl's schema, read piece by piece."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_ROWS = 4096


class QuestionError(ValueError):
    """A row that is no question, or a file that holds none; the message names file, row and fix."""


def read_rows(
    files: Sequence[str | Path], prompt_key: str = "prompt", more: Sequence[str] = ()
) -> Iterator[dict[str, Any] | None]:
    """Rows of parquet files in order, with the fields that make a question and no others, read piece by piece.

    A row whose text is not UTF-8 is None.

    Args:
        more: columns that are read too, where they are there.

    Raises:
        QuestionError: a file is missing, no parquet, damaged, or lacks a column.
    """
    for file in files:
        path = Path(file).expanduser()
        if not path.is_file():
            raise QuestionError(f"there is no file {str(file)!r}; data_prep/ has scripts that write data sets")
        try:
            parquet = pq.ParquetFile(path)
            schema = parquet.schema_arrow
            columns = [*_columns(file, schema, prompt_key), *(name for name in more if name in schema.names)]
            for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
                yield from _decoded(batch)
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
    if not _has_field(schema, "reward_model", "ground_truth"):
        raise QuestionError(f"{file}: reward_model has no ground_truth; without it no answer can be scored")
    text = ["extra_info.question"] if _has_field(schema, "extra_info", "question") else []
    return [prompt_key, "reward_model.ground_truth", *text]


def _has_field(schema: pa.Schema, column: str, field: str) -> bool:
    if column not in schema.names:
        return False
    kind = schema.field(column).type
    return pa.types.is_struct(kind) and kind.get_field_index(field) >= 0
