"""Difficulties of questions in [0, 100], 100 the hardest, read from label files.

    collected     columns question_id, text, success_rate in [0, 1]     verl_dots.difficulty.collect
    judged        columns question_id, text, difficulty                 data_prep.judge
    verl schema   extra_info.difficulty, or extra_info.success_rate     the AdaRFT paper's published files

A question is found by its id, else by its normalised text, so labels hold whatever the prompt around the question is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.problems import SourceError, Unusable, from_verl_row
from data_prep.text import digest, normalise, without_instruction
from verl_dots.questions import question_id

HARDEST = 100.0
# id, text, difficulty
Label = tuple[str, str, float]


@dataclass(frozen=True)
class DifficultyLabels:
    """Means over the labels of a question, by id and by digest of the normalised text."""

    by_id: Mapping[str, float]
    by_text: Mapping[int, float]

    def find(self, identity: str, question: str) -> tuple[float | None, str]:
        """The difficulty of a question, or None, and by what it was found ("id", "text" or "nothing")."""
        if identity in self.by_id:
            return self.by_id[identity], "id"
        found = self.by_text.get(digest(normalise(question)))
        return found, "nothing" if found is None else "text"


def read_difficulties(files: Sequence[Path], easiest: float = 0.0, hardest: float = HARDEST) -> DifficultyLabels:
    """Read label files.

    Args:
        easiest, hardest: difficulties in the files that become 0 and 100; success rates need none.

    Raises:
        SourceError: a file is of none of the kinds, or a label is no number in its range.
    """
    if easiest == hardest:
        raise SourceError(f"--range {easiest:g} {hardest:g}: the two must differ")
    by_id: dict[str, list[float]] = {}
    by_text: dict[int, list[float]] = {}
    for file in files:
        for place, (identity, text, difficulty) in enumerate(_labels(file, easiest, hardest)):
            if not 0 <= difficulty <= HARDEST:
                raise SourceError(
                    f"{file}, label {place}: difficulty {difficulty:g} is outside [0, 100]; give the range of the "
                    "file's difficulties with --range EASIEST HARDEST"
                )
            by_id.setdefault(identity, []).append(difficulty)
            by_text.setdefault(digest(normalise(text)), []).append(difficulty)
    return DifficultyLabels(_means(by_id), _means(by_text))


def _means(found: Mapping[Any, list[float]]) -> dict[Any, float]:
    return {key: sum(values) / len(values) for key, values in found.items()}


def _labels(file: Path, easiest: float, hardest: float) -> Iterator[Label]:
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"--labels {file} is not a parquet file: {error}") from error
    names = set(parquet.schema_arrow.names)
    top = next((name for name in ("success_rate", "difficulty") if {"question_id", "text", name} <= names), None)
    if top is None and not {"prompt", "reward_model", "extra_info"} <= names:
        raise SourceError(
            f"--labels {file} has the columns {sorted(names)}; allowed: question_id, text and success_rate or "
            "difficulty, or verl's prompt, reward_model, extra_info"
        )
    columns = ["question_id", "text", top] if top else ["prompt", "reward_model", "extra_info"]
    for batch in parquet.iter_batches(columns=columns):
        for row in batch.to_pylist():
            if top:
                yield row["question_id"], without_instruction(row["text"]), _scaled(row, easiest, hardest, file)
            else:
                yield _verl_label(row, easiest, hardest, file)


def _verl_label(row: Mapping[str, Any], easiest: float, hardest: float, file: Path) -> Label:
    try:
        problem = from_verl_row(row)
    except Unusable as reason:
        raise SourceError(f"--labels {file}: {reason} in {row!r:.200}") from reason
    identity = question_id(row["prompt"], row["reward_model"]["ground_truth"])
    return identity, problem.question, _scaled(row["extra_info"] or {}, easiest, hardest, file)


def _scaled(fields: Mapping[str, Any], easiest: float, hardest: float, file: Path) -> float:
    rate, difficulty = fields.get("success_rate"), fields.get("difficulty")
    if rate is not None:
        return HARDEST * (1 - float(rate))
    if isinstance(difficulty, bool) or not isinstance(difficulty, int | float):
        raise SourceError(f"--labels {file}: a difficulty must be a number, got {difficulty!r}; remove such rows")
    return HARDEST * (difficulty - easiest) / (hardest - easiest)
