"""Which of a stream's questions stay: no repeats, no contradictions, a sample that does not depend on their order.

The stream is read once for the digests here and once more for the rows that stay, so the size of a data set costs 32
bytes a question. Sampling goes by digests too: every question has a number made of the seed and of itself, and the
smallest numbers are taken. A reservoir would give another sample when rows are added, left out or reordered upstream,
and would need its rows in memory.
"""

import hashlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_prep.text import digest, normalise
from verl_dots.data.questions import ON_CONFLICT
from verl_dots.settings import Refusal

CONFLICTING = "same question, different answers"


class SelectionError(Refusal):
    """What was asked of the selection cannot be; the message says why."""


@dataclass(frozen=True)
class Selection:
    """Positions [K] of the rows that stay, ascending, and how many left, by reason."""

    position_K: np.ndarray
    counts: Mapping[str, int]


class Digests:
    """Digests of the questions of a stream, in order."""

    def __init__(self):
        self._columns = {name: array("Q") for name in ("position", "exact", "same", "text")}

    def __len__(self) -> int:
        return len(self._columns["position"])

    def add(self, position: int, question: str, answer: str) -> None:
        """Note the question in this row of the source."""
        text, truth = normalise(question), normalise(answer)
        values = (position, digest(question, answer), digest(text, truth), digest(text))
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def select(self, on_conflict: str, sample: int | None, seed: int) -> Selection:
        """Settle repeats and conflicts, then sample.

        Args:
            on_conflict: about questions with the same text and different answers: "drop" all of them, "error", "keep".
            sample: how many to keep; None for all.

        Raises:
            SelectionError: conflicts with "error", or fewer questions than ``sample``.
        """
        if on_conflict not in ON_CONFLICT:
            text = f"--conflicts {on_conflict}: must be one of {', '.join(ON_CONFLICT)}"
            raise SelectionError(text, key="--conflicts", reason="choice")
        exact, same, text = (np.asarray(self._columns[name], np.uint64) for name in ("exact", "same", "text"))
        first = np.sort(np.unique(same, return_index=True)[1])
        exact_repeats = len(exact) - len(np.unique(exact))
        counts = {
            "repeats of an earlier question": exact_repeats,
            "repeats but for case, spaces and LaTeX's looks": len(exact) - len(first) - exact_repeats,
        }
        _, group, size = np.unique(text[first], return_inverse=True, return_counts=True)
        alone = size[group] == 1
        if on_conflict == "error" and not alone.all():
            text = f"{(~alone).sum()} questions occur with different answers; leave them out with --conflicts drop"
            raise SelectionError(text, key="--conflicts", reason="data")
        if on_conflict == "drop":
            counts[CONFLICTING] = int((~alone).sum())
            first = first[alone]
        if sample is not None:
            counts["not in the sample"] = len(first) - sample
            first = _sampled(first, same[first], sample, seed)
        return Selection(np.asarray(self._columns["position"], np.int64)[first], counts)


def _sampled(place_K: np.ndarray, same_K: np.ndarray, sample: int, seed: int) -> np.ndarray:
    """The ``sample`` places whose questions have the smallest numbers, ascending."""
    if sample > len(place_K):
        text = f"--sample {sample}: there are only {len(place_K)} questions; ask for at most as many"
        raise SelectionError(text, key="--sample", reason="size")
    drawn = [hashlib.sha256(f"{seed}:{value:016x}".encode()).digest()[:8] for value in same_K.tolist()]
    number_K = np.frombuffer(b"".join(drawn), dtype=">u8")
    return np.sort(place_K[np.argsort(number_K, kind="stable")[:sample]])
