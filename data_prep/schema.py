"""Rows in the schema that verl reads, and parquet files that say where they come from.

A row is one question:

    data_source   str                                   picks the reward function
    prompt        list of {"role": str, "content": str}
    ability       str
    reward_model  {"style": "rule", "ground_truth": str}
    extra_info    {"index": int, "question_id": str, "split": str, ...}   for analysis, never shown to the model

`write_rows` takes rows that are all in memory, `write_stream` any number of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.data.provenance import metadata_of, write_table
from verl_dots.data.question import question_id
from verl_dots.files import write_atomically

ROLES = ("system", "user", "assistant")
OWN_EXTRA_FIELDS = ("index", "question_id", "split")
ROWS_PER_GROUP = 1024
# Every field of extra_info that a script writes, and its type: so any two data sets can be read as one.
EXTRA_FIELDS: Mapping[str, pa.DataType] = {
    "question": pa.string(),
    "source_row": pa.int64(),
    "source_id": pa.string(),
    "origin": pa.string(),
    "subject": pa.string(),
    "level": pa.float64(),
    "difficulty": pa.float64(),
    "rank": pa.float64(),
    "answer_type": pa.string(),
    "unit": pa.string(),
    "tolerance": pa.string(),
    "several_answers": pa.bool_(),
    "reference": pa.string(),
    "family": pa.string(),
}

T = TypeVar("T")


def make_row(
    *,
    data_source: str,
    prompt: Sequence[Mapping[str, str]],
    ability: str,
    ground_truth: str,
    index: int,
    split: str,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build one validated row of verl's schema.

    ``extra`` is merged into ``extra_info`` next to index, question_id and split.
    Raises ValueError or TypeError where verl would fail later or silently read something else.
    """
    for name, value in (("data_source", data_source), ("ability", ability), ("split", split)):
        if not isinstance(value, str) or not value:
            raise TypeError(f"{name} must be a non-empty string, got {value!r}")
    if not isinstance(ground_truth, str) or not ground_truth:
        raise TypeError(f"ground_truth must be a non-empty string, got {ground_truth!r}; convert numbers with str()")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise ValueError(f"index must be an integer >= 0, got {index!r}")
    _check_prompt(prompt)
    taken = sorted(set(extra or {}) & set(OWN_EXTRA_FIELDS))
    if taken:
        raise ValueError(f"extra must not contain {taken}: make_row fills {list(OWN_EXTRA_FIELDS)} itself")
    messages = [{"role": message["role"], "content": message["content"]} for message in prompt]
    own = {"index": index, "question_id": question_id(messages, ground_truth), "split": split}
    return {
        "data_source": data_source,
        "prompt": messages,
        "ability": ability,
        "reward_model": {"style": "rule", "ground_truth": ground_truth},
        "extra_info": own | dict(extra or {}),
    }


def _check_prompt(prompt: Sequence[Mapping[str, str]]) -> None:
    if isinstance(prompt, str) or not prompt:
        raise TypeError(f'prompt must be a non-empty list of {{"role", "content"}} messages, got {prompt!r}')
    for message in prompt:
        if set(message) != {"role", "content"}:
            raise ValueError(f'every message has exactly the keys "role" and "content", got {sorted(message)}')
        if message["role"] not in ROLES:
            raise ValueError(f"unknown role {message['role']!r}; known roles: {list(ROLES)}")
        if not isinstance(message["content"], str) or not message["content"]:
            raise TypeError(f"a message's content must be a non-empty string, got {message['content']!r}")


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path, provenance: Mapping[str, Any]) -> None:
    """Write rows to a parquet file, atomically, with ``provenance`` (as JSON) in the file's metadata.

    The same rows and provenance give the same bytes. An interrupted write leaves an old file untouched.
    Raises ValueError for no rows or for two rows with one question id.
    """
    if not rows:
        raise ValueError(f"no rows to write to {path}")
    seen: dict[str, int] = {}
    for position, row in enumerate(rows):
        first = seen.setdefault(row["extra_info"]["question_id"], position)
        if first != position:
            raise ValueError(f"rows {first} and {position} are the same question: {row['prompt']!r}; remove one")
    table = pa.Table.from_pylist([dict(row) for row in rows])
    found = {field.name: EXTRA_FIELDS.get(field.name, field.type) for field in table.schema.field("extra_info").type}
    table = table.cast(row_schema({name: kind for name, kind in found.items() if name not in OWN_EXTRA_FIELDS}))
    write_table(path, table, provenance)


def row_schema(extra: Mapping[str, pa.DataType] | None = None) -> pa.Schema:
    """The arrow schema of `make_row`'s rows, with the further fields of ``extra_info`` and their types."""
    text = pa.string()
    own = {"index": pa.int64(), "question_id": text, "split": text}
    message = pa.struct([("role", text), ("content", text)])
    return pa.schema(
        [
            ("data_source", text),
            ("prompt", pa.list_(message)),
            ("ability", text),
            ("reward_model", pa.struct([("style", text), ("ground_truth", text)])),
            ("extra_info", pa.struct(list((own | dict(extra or {})).items()))),
        ]
    )


def write_stream(
    rows: Iterable[Mapping[str, Any]], path: Path, schema: pa.Schema, provenance: Mapping[str, Any]
) -> int:
    """Write rows as they come, a row group at a time; how many there were.

    In memory are one row group and 8 bytes of each question's id. Otherwise as `write_rows`: atomic, the same rows and
    provenance give the same bytes.

    Args:
        schema: of the rows, see `row_schema`; a field that a row lacks is null.

    Raises:
        ValueError: no rows, two rows with one question id, or a field of extra_info that the schema lacks.
    """
    known = {field.name for field in schema.field("extra_info").type}
    seen: set[bytes] = set()

    def checked() -> Iterator[dict[str, Any]]:
        for position, row in enumerate(rows):
            unknown = sorted(set(row["extra_info"]) - known)
            if unknown:
                raise ValueError(
                    f"row {position}: extra_info has {unknown}, the schema {sorted(known)}; name them there"
                )
            identity = bytes.fromhex(row["extra_info"]["question_id"])
            if identity in seen:
                raise ValueError(f"row {position} repeats an earlier question: {row['prompt']!r:.200}; remove one")
            seen.add(identity)
            yield dict(row)

    groups = batches(checked(), ROWS_PER_GROUP)
    write_batches((pa.RecordBatch.from_pylist(group, schema=schema) for group in groups), path, schema, provenance)
    return len(seen)


def write_batches(
    found: Iterable[pa.RecordBatch], path: Path, schema: pa.Schema, provenance: Mapping[str, Any]
) -> None:
    """Write batches as they come, each as a row group; atomic, with provenance in the metadata.

    Raises:
        ValueError: there are no rows.
    """

    def write(partial: Path) -> None:
        count = 0
        with pq.ParquetWriter(partial, schema.with_metadata(metadata_of(provenance))) as writer:
            for batch in found:
                count += len(batch)
                writer.write_batch(batch)
        if not count:
            raise ValueError(f"no rows to write to {path}")

    write_atomically(path, write)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items in order; the last may be shorter."""
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
