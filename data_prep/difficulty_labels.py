"""Difficulties of questions in [0, 100], 100 the hardest, read from label files.

    measured      columns question_id, text, success_rate in [0, 1]     verl_dots.difficulty.collect
    judged        columns question_id, text, difficulty                 data_prep.judge
    verl schema   extra_info.difficulty, or extra_info.success_rate     the AdaRFT paper's published files

A question is found by its id, else by its normalised text, so labels hold whatever the prompt around the question is.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.problems import SourceError, Unusable, verl_question
from data_prep.text import digest, normalise, without_instruction
from verl_dots.data.question import question_id
from verl_dots.data.rows import read_rows, schema_of

HARDEST = 100.0
VERL_COLUMNS = ("prompt", "reward_model", "extra_info")


@dataclass(frozen=True)
class Asked:
    """A row of a data set or of a label file, and the question in it.

    Attributes:
        row: its columns.
        id: see `verl_dots.data.questions.question_id`.
        text: the question without instructions that are known.
    """

    row: Mapping[str, Any]
    id: str
    text: str


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


def labelled_parser(module: str, description: str, labels: str) -> argparse.ArgumentParser:
    """The command line of a script that reads a data set and labels, of which `labels` says more, and writes a file."""
    parser = argparse.ArgumentParser(
        prog=f"python -m data_prep.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA.parquet", help="data set in verl's schema")
    parser.add_argument("--labels", type=Path, nargs="+", required=True, metavar="LABELS.parquet", help=labels)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="parquet file to write")
    return parser


def read_verl_rows(file: Path, columns: Sequence[str] | None = None) -> Iterator[Asked]:
    """Rows of a file in verl's schema, of these columns or all.

    Raises:
        QuestionError: no such file, or damaged.
        SourceError: a row that is no question; the message names file and row.
    """
    for place, row in enumerate(read_rows(file, columns)):
        try:
            text, _ = verl_question(row)
        except (SourceError, Unusable) as error:
            raise SourceError(f"{file} row {place}: {error}", key=str(file), reason="data") from error
        yield Asked(row, question_id(row["prompt"], row["reward_model"]["ground_truth"]), text)


def read_difficulties(files: Sequence[Path], easiest: float = 0.0, hardest: float = HARDEST) -> DifficultyLabels:
    """Read label files.

    Args:
        easiest, hardest: difficulties in the files that become 0 and 100; success rates need none.

    Raises:
        QuestionError: a file cannot be read.
        SourceError: a file is of none of the kinds, or a label is no number in its range.
    """
    if easiest == hardest:
        raise SourceError(f"--range {easiest:g} {hardest:g}: the two must differ", key="--range", reason="range")
    by_id: dict[str, list[float]] = {}
    by_text: dict[int, list[float]] = {}
    for file in files:
        for place, (label, fields) in enumerate(_labels(file)):
            try:
                difficulty = _scaled(fields, easiest, hardest)
            except SourceError as error:
                raise SourceError(
                    f"--labels {file} row {place}: {error}", key="--labels", reason=error.reason
                ) from error
            by_id.setdefault(label.id, []).append(difficulty)
            by_text.setdefault(digest(normalise(label.text)), []).append(difficulty)
    return DifficultyLabels(_means(by_id), _means(by_text))


def _means(found: Mapping[Any, list[float]]) -> dict[Any, float]:
    return {key: sum(values) / len(values) for key, values in found.items()}


def _labels(file: Path) -> Iterator[tuple[Asked, Mapping[str, Any]]]:
    """Questions of a label file, each with the fields that hold its label."""
    names = set(schema_of(file).names)
    top = next((name for name in ("success_rate", "difficulty") if {"question_id", "text", name} <= names), None)
    if top:
        yield from ((label, label.row) for label in _read_labels(file, top))
    elif set(VERL_COLUMNS) <= names:
        yield from ((label, label.row["extra_info"] or {}) for label in read_verl_rows(file, VERL_COLUMNS))
    else:
        raise SourceError(
            f"--labels {file} has the columns {sorted(names)}; allowed: question_id, text and success_rate or "
            "difficulty, or verl's prompt, reward_model, extra_info",
            key="--labels",
            reason="data",
        )


def _read_labels(file: Path, label: str) -> Iterator[Asked]:
    for place, row in enumerate(read_rows(file, ("question_id", "text", label))):
        if not isinstance(row["question_id"], str) or not isinstance(row["text"], str):
            text = f"--labels {file} row {place}: question_id and text must be text, got {row!r:.200}"
            raise SourceError(text, key="--labels", reason="type")
        yield Asked(row, row["question_id"], without_instruction(row["text"]))


def _scaled(fields: Mapping[str, Any], easiest: float, hardest: float) -> float:
    """The difficulty in [0, 100]: 100 (1 - success_rate), or difficulty from its range."""
    if fields.get("success_rate") is not None:
        rate = _number(fields, "success_rate")
        if not 0 <= rate <= 1:
            raise SourceError(
                f"success_rate {rate:g} is outside [0, 1]; remove such rows", key="success_rate", reason="range"
            )
        return HARDEST * (1 - rate)
    difficulty = HARDEST * (_number(fields, "difficulty") - easiest) / (hardest - easiest)
    if not 0 <= difficulty <= HARDEST:
        raise SourceError(
            f"difficulty {difficulty:g} is outside [0, 100]; give the range of the file's difficulties with "
            "--range EASIEST HARDEST",
            key="--range",
            reason="range",
        )
    return difficulty


def _number(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SourceError(f"a {name} must be a number, got {value!r}; remove such rows", key=name, reason="type")
    return value
