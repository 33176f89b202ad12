"""Where a parquet file comes from, as JSON in its metadata."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import schema_of
from verl_dots.files import parse_json, write_atomically

KEY = b"verl_dots.provenance"


def metadata_of(provenance: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Metadata of a file with this provenance; the same gives the same bytes."""
    return {KEY: json.dumps(dict(provenance), sort_keys=True).encode("utf-8")}


def write_table(path: Path, table: pa.Table, provenance: Mapping[str, Any]) -> None:
    """Write a parquet file, whole or not at all; the same rows and provenance give the same bytes."""
    table = table.replace_schema_metadata(metadata_of(provenance))
    write_atomically(path, lambda partial: pq.write_table(table, partial))


def read_provenance(path: Path) -> dict[str, Any]:
    """The provenance of a file; {} where it has none, or one that is not ours to read.

    Raises QuestionError for what is no data file.
    """
    try:
        found = parse_json((schema_of(path).metadata or {}).get(KEY, b"{}"))
    except ValueError as error:
        if isinstance(error, QuestionError):
            raise
        return {}
    return found if isinstance(found, dict) else {}


def made_by(generator: str) -> Callable[[Path], bool]:
    """Whether a file says that this generator wrote it; for `files.try_output`."""

    def made(file: Path) -> bool:
        try:
            return read_provenance(file).get("generator") == generator
        except QuestionError:
            return False

    return made
