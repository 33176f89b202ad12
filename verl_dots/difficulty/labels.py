"""Labelled questions: success rates as `collect` writes them, or those that a verl parquet carries.

label file     columns question_id, text, answer, success_rate in [0, 1], rollouts, labeller
verl schema    extra_info.success_rate in [0, 1], or extra_info.difficulty in a stated range (0 is always solved)

A labeller is the model that was asked. Its labels stay apart from those of others: in training the questions of a
batch and their references are of one labeller, as they are of one policy when a run is served (DOTS, section 3).
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from verl_dots.difficulty.label_files import LabelRow, read_label_rows
from verl_dots.difficulty.suspicious_labels import disagreements, spikes
from verl_dots.settings import ConfigError

log = logging.getLogger(__name__)

WORDS_AND_SIGNS = re.compile(r"\w+|[-+*/^<>=]")


@dataclass(frozen=True)
class Labels:
    """Questions with their success rates, by labeller; no question twice.

    Attributes:
        ids, texts, answers: [P].
        success_rate_LP: [L, P], nan where a labeller was not asked; a row [P] is taken as that of one labeller.
        labellers: [L] names.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    answers: tuple[str, ...]
    success_rate_LP: np.ndarray
    labellers: tuple[str, ...] = ("",)

    def __post_init__(self):
        object.__setattr__(self, "success_rate_LP", np.atleast_2d(self.success_rate_LP))
        if self.success_rate_LP.shape != (len(self.labellers), len(self.ids)):
            raise ValueError(
                f"want success rates [{len(self.labellers)} labellers, {len(self.ids)} questions], got "
                f"{list(self.success_rate_LP.shape)}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def success_rate_P(self) -> np.ndarray:
        """Mean over the labellers that were asked [P]."""
        return np.nanmean(self.success_rate_LP, axis=0)

    @property
    def families(self) -> tuple[str, ...]:
        """Family of each question: those that differ in case, spaces and punctuation only share one."""
        return tuple(family(text) for text in self.texts)

    def take(self, index_N: np.ndarray) -> "Labels":
        """The questions at these positions."""
        index = np.asarray(index_N)
        columns = (tuple(column[i] for i in index) for column in (self.ids, self.texts, self.answers))
        return Labels(*columns, self.success_rate_LP[:, index], self.labellers)

    def one_per_family(self) -> "Labels":
        """The first question of each family; of each labeller the first label that it gave to one of the family.

        Questions of a family are different ones where both words and answers differ, as of 3 + 4 and 34.
        """
        first, place_P = self._first_alike()
        rate_LF = self.success_rate_LP[:, first]
        for position, place in enumerate(place_P):
            row_L = rate_LF[:, place]
            rate_LF[:, place] = np.where(np.isnan(row_L), self.success_rate_LP[:, position], row_L)
        columns = (tuple(column[i] for i in first) for column in (self.ids, self.texts, self.answers))
        return Labels(*columns, rate_LF, self.labellers)

    def _first_alike(self) -> tuple[list[int], list[int]]:
        """Positions [F] of questions of which none is another, and for each [P] which of these it is."""
        first: list[int] = []
        place_P, known = [], {}
        for position, (name, text, answer) in enumerate(zip(self.families, self.texts, self.answers, strict=True)):
            keys = (name, *WORDS_AND_SIGNS.findall(text.lower())), (name, None, answer)
            place = next((known[key] for key in keys if key in known), len(first))
            first += [position] if place == len(first) else []
            known |= {key: place for key in keys if key not in known}
            place_P.append(place)
        return first, place_P

    def of(self, labellers: Sequence[str]) -> "Labels":
        """The labels of these labellers, and the questions that any of them was asked, order as here.

        Raises ConfigError for one who is not among them, or none.
        """
        unknown = sorted(set(labellers) - set(self.labellers))
        if unknown or not labellers:
            text = f"labellers {unknown or 'none'}: the labels are of {', '.join(map(repr, self.labellers))}"
            raise ConfigError(text, key="labellers", reason="choice")
        rows = [place for place, name in enumerate(self.labellers) if name in labellers]
        rate_LP = self.success_rate_LP[rows]
        chosen = Labels(self.ids, self.texts, self.answers, rate_LP, tuple(self.labellers[row] for row in rows))
        return chosen.take(np.flatnonzero(~np.isnan(rate_LP).all(0)))

    def by_labeller(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """(name, positions [N] of the questions that it was asked, their difficulties [N]) of each labeller."""
        for name, rate_P in zip(self.labellers, self.success_rate_LP, strict=True):
            asked = np.flatnonzero(~np.isnan(rate_P))
            yield name, asked, 1 - rate_P[asked]


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


def read_labels(
    files: Sequence[str | Path],
    difficulty_range: tuple[float, float] = (0.0, 100.0),
    labellers: Sequence[str] | None = None,
) -> Labels:
    """Read label files; suspicious labels are logged as warnings, see suspicious_labels.py.

    Several labels of a question by one labeller count as one, of all their rollouts; where a file does not say how
    many, they weigh the same.

    Args:
        difficulty_range: values of extra_info.difficulty for always and never solved.
        labellers: who was asked, for rows that do not name it: one name, or one a file. By default the file's path.

    Raises ValueError for a file of neither kind, no question, a rate outside [0, 1] (naming the file), or a number of
    labellers that does not fit.
    """
    labellers = [str(file) for file in files] if labellers is None else list(labellers)
    if len(labellers) not in (1, len(files)):
        text = f"--labeller {' '.join(labellers)}: give one name, or one for each of the {len(files)} label files"
        raise ConfigError(text, key="--labeller", reason="size")
    rows: list[LabelRow] = []
    for position, file in enumerate(files):
        found = read_label_rows(Path(file), difficulty_range, labellers[position % len(labellers)])
        for warning in spikes(found):
            log.warning("%s: %s", file, warning)
        rows += found
    if not rows:
        raise ValueError(f"no labelled question in {[str(file) for file in files]}")
    for warning in disagreements(rows, family):
        log.warning("%s", warning)
    return _labels(rows)


def _labels(rows: Sequence[LabelRow]) -> Labels:
    questions: dict[str, tuple[str, str]] = {}
    measured: dict[tuple[str, str], list[LabelRow]] = {}
    for row in rows:
        questions.setdefault(row.question_id, (row.text, row.answer))
        measured.setdefault((row.labeller, row.question_id), []).append(row)
    labellers = tuple(dict.fromkeys(row.labeller for row in rows))
    rate_LP = np.full((len(labellers), len(questions)), np.nan)
    places = {name: place for place, name in enumerate(questions)}
    for (labeller, name), found in measured.items():
        rate_LP[labellers.index(labeller), places[name]] = _pooled(found)
    texts, answers = zip(*questions.values(), strict=True)
    return Labels(tuple(questions), texts, answers, rate_LP, labellers)


def _pooled(rows: Sequence[LabelRow]) -> float:
    rates, rollouts = [row.success_rate for row in rows], [row.rollouts for row in rows]
    if None in rollouts or len(set(rollouts)) == 1:
        return float(np.mean(rates))
    return float(np.average(rates, weights=rollouts))
