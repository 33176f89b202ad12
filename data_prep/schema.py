"""Rows in the schema that verl reads, and parquet files that say where they come from.

A row is one question:

    data_source   str                                   picks the reward function
    prompt        list of {"role": str, "content": str}
    ability       str
    reward_model  {"style": "rule", "ground_truth": str}
    extra_info    {"index": int, "question_id": str, "split": str, ...}   for analysis, never shown to the model
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.files import write_atomically
from verl_dots.questions import question_id

PROVENANCE_KEY = b"verl_dots.provenance"
ROLES = ("system", "user", "assistant")
OWN_EXTRA_FIELDS = ("index", "question_id", "split")


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
    metadata = {PROVENANCE_KEY: json.dumps(dict(provenance), sort_keys=True).encode("utf-8")}
    write_atomically(path, lambda partial: pq.write_table(table.replace_schema_metadata(metadata), partial))


def read_provenance(path: Path) -> dict[str, Any]:
    """The provenance that `write_rows` stored. Raises ValueError if the file carries none."""
    metadata = pq.read_schema(path).metadata or {}
    if PROVENANCE_KEY not in metadata:
        raise ValueError(f"{path} carries no provenance; it was not written by data_prep.schema.write_rows")
    return json.loads(metadata[PROVENANCE_KEY])
