"""Rows of data files, read piece by piece: parquet, or JSON as verl's own reader takes it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.data.file_lists import QuestionError, require_file

BATCH_ROWS = 4096
NOT_UTF8 = "its text is not UTF-8; write the file again from text that is"
TRUTH = "reward_model.ground_truth"
NO_TRUTH = f"there is no {TRUTH}; without it no answer can be scored"


def read_question_rows(
    files: Sequence[str | Path], prompt_key: str = "prompt", more: Sequence[str] = ()
) -> Iterator[dict[str, Any] | None]:
    """Rows of data files in order, with the fields that make a question and no others.

    A row whose text is not UTF-8 is None.

    Args:
        more: columns that are read too, where they are there.

    Raises:
        QuestionError: a file is missing, of another kind, damaged, or lacks a column.
    """
    for file in files:
        schema = require_question_columns(file, prompt_key)
        text = ["extra_info.question"] if has_field(schema, "extra_info", "question") else []
        there = [name for name in more if name in schema.names]
        yield from _rows_or_none(file, [prompt_key, TRUTH, *text, *there])


def read_rows(file: str | Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a data file in order, of these columns or all.

    Args:
        columns: names, `struct.field` for a field alone where the file is parquet; JSON gives the whole struct.

    Raises:
        QuestionError: the file is missing, of another kind, damaged, or lacks a column; a row's text is not UTF-8.
    """
    for place, row in enumerate(_rows_or_none(file, columns)):
        if row is None:
            raise QuestionError(f"{file} row {place}: {NOT_UTF8}", key=str(file), reason="data")
        yield row


def read_batches(file: str | Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of arrow's, with their text as it is."""
    path = require_file(file)
    if columns is not None:
        require_columns(file, columns)
    if is_parquet(file):
        with _errors(file):
            yield from pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=columns)
        return
    rows = _json(file)
    if columns is not None:
        rows = rows.select_columns(list(dict.fromkeys(name.split(".")[0] for name in columns)))
    for table in rows.with_format("arrow").iter(BATCH_ROWS):
        yield from table.combine_chunks().to_batches()


def count_rows(file: str | Path) -> int:
    """Rows of a data file. Raises QuestionError for what is none."""
    if not is_parquet(file):
        return len(_json(file))
    with _errors(file):
        return pq.read_metadata(require_file(file)).num_rows


def schema_of(file: str | Path) -> pa.Schema:
    """Columns and types of a data file.

    Raises:
        QuestionError: it is missing, of another kind, or damaged, or has a column twice.
    """
    path = require_file(file)
    if not is_parquet(path):
        return _json(file).features.arrow_schema
    with _errors(file):
        schema = pq.read_schema(path)
    if twice := _repeated(schema):
        text = f"{file} has the column {twice!r} twice, and no reader knows which one is meant; leave one of them out"
        raise QuestionError(text, key=twice, reason="data")
    return schema


def _repeated(fields: Iterable[pa.Field]) -> str | None:
    """The first name that is there twice among fields, or among those inside of one."""
    seen = set()
    for field in fields:
        if field.name in seen:
            return field.name
        seen.add(field.name)
        inside = [field.type.field(index) for index in range(field.type.num_fields)]
        if inner := _repeated(inside):
            return f"{field.name}.{inner}"
    return None


def require_columns(file: str | Path, columns: Sequence[str], advice: str = "") -> pa.Schema:
    """The file's schema. Raises QuestionError unless it has these columns; of `struct.field` the struct."""
    schema = schema_of(file)
    missing = list(dict.fromkeys(name for name in (each.split(".")[0] for each in columns) if name not in schema.names))
    if missing:
        text = f"{file} has no column {missing}, only {schema.names}{advice}"
        raise QuestionError(text, key=missing[0], reason="data")
    return schema


def require_question_columns(file: str | Path, prompt_key: str = "prompt") -> pa.Schema:
    """The file's schema. Raises QuestionError unless its rows can be questions; `extra_info` may hold anything else."""
    schema = require_columns(file, (prompt_key, "reward_model"), "; data.prompt_key names the prompt's")
    require_structs(file, schema)
    if not has_field(schema, "reward_model", "ground_truth"):
        raise QuestionError(f"{file}: {NO_TRUTH}", key=TRUTH, reason="data")
    return schema


def is_parquet(file: str | Path) -> bool:
    """Whether the name says so; else the file is JSON."""
    return str(file).endswith(".parquet")


def require_structs(file: str | Path, schema: pa.Schema) -> None:
    """Raise QuestionError unless reward_model and extra_info hold fields: verl asks both for them by name."""
    for name in ("reward_model", "extra_info"):
        kind = schema.field(name).type if name in schema.names else pa.null()
        if not (pa.types.is_struct(kind) or pa.types.is_null(kind) or _is_json(kind)):
            advice = "json.loads of each row's text, written again, makes one" if _is_text(kind) else "write it as one"
            text = f"{file}: {name} is {kind}; it must be a struct (a dict in each row). {advice}"
            raise QuestionError(text, key=name, reason="type")


def _json(file: str | Path) -> Any:
    """The `datasets.Dataset` that verl makes of a JSON file; on disk, mapped into memory."""
    import datasets

    path = require_file(file)
    if _begins_with_null(path):
        text = f"{file} begins with null; each row must be an object, as verl's schema has it"
        raise QuestionError(text, key=str(file), reason="file")
    try:
        return datasets.load_dataset("json", data_files=str(path), split="train")
    except (datasets.exceptions.DatasetsError, pa.ArrowException, OSError, ValueError, StopIteration) as error:
        told = error.__cause__ or str(error) or "it is empty"
        text = f"{file} is no JSON that verl can read, or damaged: {told}"
        raise QuestionError(text, key=str(file), reason="file") from error


def _begins_with_null(path: Path) -> bool:
    """Whether a JSON file's first row is null, on which pyarrow's reader ends the process (seen in 21.0)."""
    with path.open("rb") as file:
        return file.read(1 << 16).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"null")


@contextmanager
def _errors(file: str | Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        text = f"{file} is not a parquet file, or damaged: {error}"
        raise QuestionError(text, key=str(file), reason="file") from error


def _rows_or_none(file: str | Path, columns: Sequence[str] | None) -> Iterator[dict[str, Any] | None]:
    for batch in read_batches(file, columns):
        yield from _decoded(batch)


def _decoded(batch: pa.RecordBatch) -> list[dict[str, Any] | None]:
    try:
        rows = batch.to_pylist()
        for field in batch.schema:
            if _holds_json(field.type):
                read = _as_read([row[field.name] for row in rows], field)
                rows = [row | {field.name: value} for row, value in zip(rows, read, strict=True)]
        return rows
    except UnicodeDecodeError:
        if len(batch) == 1:
            return [None]
        half = len(batch) // 2
        return _decoded(batch.slice(0, half)) + _decoded(batch.slice(half))


def _is_json(kind: pa.DataType) -> bool:
    """Whether `datasets` has kept the text of JSON whose rows differ in type: it gives verl what that text says."""
    return getattr(kind, "extension_name", "") == "arrow.json"


def _holds_json(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_holds_json(field.type) for field in kind)
    return _is_json(kind) or (pa.types.is_list(kind) and _holds_json(kind.value_type))


def _as_read(column: list[Any], field: pa.Field) -> list[Any]:
    """What verl reads of a column of such a type: of "007" among numbers 7."""
    import datasets

    features = datasets.Features.from_arrow_schema(pa.schema([field]))
    return features.decode_column(column, field.name)


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def has_field(schema: pa.Schema, column: str, field: str) -> bool:
    """Whether a column is a struct with a field of that name, or an object of JSON, which may have it."""
    if column not in schema.names:
        return False
    kind = schema.field(column).type
    return _is_json(kind) or (pa.types.is_struct(kind) and kind.get_field_index(field) >= 0)
