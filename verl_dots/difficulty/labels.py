"""Labelled questions: success rates as `collect` writes them, or those that a verl parquet carries.

label file     columns question_id, text, answer, success_rate in [0, 1], rollouts
verl schema    extra_info.success_rate in [0, 1], or extra_info.difficulty in a stated range (0 is always solved)
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from verl_dots.data.questions import question_id, questions_of
from verl_dots.data.rows import read_rows, schema_of

LABEL_COLUMNS = ("question_id", "text", "answer", "success_rate")


@dataclass(frozen=True)
class Labels:
    """Questions with their success rates [P]; no question twice."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    answers: tuple[str, ...]
    success_rate_P: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def families(self) -> tuple[str, ...]:
        """Family of each question: those that differ in case, spaces and punctuation only share one."""
        return tuple(family(text) for text in self.texts)

    def take(self, index_N: np.ndarray) -> "Labels":
        """The questions at these positions."""
        index = np.asarray(index_N)
        columns = (tuple(column[i] for i in index) for column in (self.ids, self.texts, self.answers))
        return Labels(*columns, self.success_rate_P[index])


def family(text: str) -> str:
    """16 hex digits over the letters and digits of a text; the text itself counts where it has none."""
    plain = re.sub(r"[\W_]+", "", text.lower()) or text
    return hashlib.sha256(plain.encode("utf-8")).hexdigest()[:16]


def first_of_families(families: Sequence[str]) -> np.ndarray:
    """Positions [F] of the first question of each family, in order."""
    first: dict[str, int] = {}
    for position, name in enumerate(families):
        first.setdefault(name, position)
    return np.array(list(first.values()), dtype=np.int64)


def in_share(families: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Bool [P], about ``share`` of the families true; a family is never split. Depends on names and seed only."""
    if not 0 < share < 1:
        raise ValueError(f"the share of held-out questions must be between 0 and 1, got {share}")
    digests = (hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()[:8] for name in families)
    return np.array([int(digest, 16) / 2**32 < share for digest in digests], dtype=bool)


def read_labels(files: Sequence[str | Path], difficulty_range: tuple[float, float] = (0.0, 100.0)) -> Labels:
    """Read label files. A question that occurs more than once gets the mean of its success rates.

    ``difficulty_range`` gives the values of extra_info.difficulty for always and never solved.
    Raises ValueError for a file of neither kind, no question, or a rate outside [0, 1] (naming the file).
    """
    questions: dict[str, tuple[str, str]] = {}
    rates: dict[str, list[float]] = {}
    for file in files:
        for name, text, answer, rate in _read(Path(file), difficulty_range):
            questions.setdefault(name, (text, answer))
            rates.setdefault(name, []).append(rate)
    if not questions:
        raise ValueError(f"no labelled question in {[str(file) for file in files]}")
    texts, answers = zip(*questions.values(), strict=True)
    return Labels(tuple(questions), texts, answers, np.array([np.mean(rates[name]) for name in questions]))


def _read(file: Path, difficulty_range: tuple[float, float]) -> list[tuple[str, str, str, float]]:
    columns = set(schema_of(file).names)
    if set(LABEL_COLUMNS) <= columns:
        found = [
            (row["question_id"], row["text"], row["answer"], _number(row["success_rate"]))
            for row in read_rows(file, LABEL_COLUMNS)
        ]
    elif {"prompt", "reward_model", "extra_info"} <= columns:
        rows = list(read_rows(file, ["prompt", "reward_model", "extra_info"]))
        questions = questions_of(rows, name_of=lambda place: f"{file} row {place}")
        known = dict(zip(questions.ids, zip(questions.texts, questions.answers, strict=True), strict=True))
        named = ((question_id(row["prompt"], row["reward_model"]["ground_truth"]), row) for row in rows)
        found = [
            (name, *known[name], _rate(row["extra_info"], difficulty_range)) for name, row in named if name in known
        ]
    else:
        raise ValueError(
            f"{file} has the columns {sorted(columns)}; allowed: {', '.join(LABEL_COLUMNS)} (written by "
            "verl_dots.difficulty.collect), or verl's prompt, reward_model, extra_info"
        )
    for name, _, _, rate in found:
        if not 0 <= rate <= 1:
            raise ValueError(
                f"{file}: success rate {rate} of question {name} is not in [0, 1]; is the difficulty range "
                f"{difficulty_range} right?"
            )
    return found


def _rate(extra_info: dict, difficulty_range: tuple[float, float]) -> float:
    easiest, hardest = difficulty_range
    if extra_info.get("success_rate") is not None:
        return _number(extra_info["success_rate"])
    return 1 - (_number(extra_info.get("difficulty")) - easiest) / (hardest - easiest)


def _number(value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f"a label must be a number, got {value!r}; verl rows need extra_info.success_rate or extra_info.difficulty"
        )
    return float(value)
