"""Rows of verl-schema files with their question ids, as the collection commands need them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.data.questions import questions_of
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

OPTIONAL = "extra_info"


@dataclass(frozen=True)
class Question:
    """A question and its row in verl's schema."""

    id: str
    text: str
    answer: str
    row: dict[str, Any]


def read_rows(files: Sequence[str], prompt_key: str = "prompt") -> list[dict[str, Any]]:
    """Rows of parquet files in order, with the columns that asking and grading need; the prompt as "prompt".

    Raises:
        ConfigError: a file is missing, no parquet, or lacks a column; there are no files or no rows.
    """
    if not files:
        raise ConfigError("no data: name at least one parquet file in verl's schema")
    needed = (prompt_key, "data_source", "reward_model")
    rows: list[dict[str, Any]] = []
    for file in files:
        path = Path(file).expanduser()
        if not path.is_file():
            raise ConfigError(f"there is no file {file!r}; data_prep/ has scripts that write data sets")
        try:
            names = pq.read_schema(path).names
            missing = [name for name in needed if name not in names]
            if missing:
                raise ConfigError(f"{file}: no column {missing}; it has {names}. The prompt's is data.prompt_key")
            table = pq.read_table(path, columns=[*needed, *([OPTIONAL] if OPTIONAL in names else [])])
        except pa.ArrowInvalid as error:
            raise ConfigError(f"{file} is not a parquet file: {error}") from error
        rows += table.to_pylist()
    if not rows:
        raise ConfigError(f"no rows in {', '.join(map(str, files))}")
    for row in rows:
        row["prompt"] = row.pop(prompt_key)
    return rows


def read_questions_with_rows(
    files: Sequence[str], prompt_key: str = "prompt", draw: int | None = None, seed: int = 1
) -> list[Question]:
    """Distinct questions of some files in their order, or `draw` of them at random.

    Raises:
        ConfigError: bad files (see read_rows), a row that is no question, or draw < 1.
    """
    if draw is not None and draw < 1:
        raise ConfigError(f"--questions {draw}: must be at least 1")
    rows = read_rows(files, prompt_key)
    try:
        found = questions_of(rows)
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error)) from error
    if len(found.ids) < len(rows):
        logger.info("%d rows hold %d different questions", len(rows), len(found.ids))
    chosen = np.arange(len(found.ids))
    if draw is not None and draw < len(chosen):
        chosen = np.sort(np.random.default_rng(seed).choice(len(chosen), draw, replace=False))
    return [Question(found.ids[i], found.texts[i], found.answers[i], rows[found.rows[i]]) for i in chosen]
