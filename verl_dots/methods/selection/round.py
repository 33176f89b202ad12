"""The batches of one selection round: drawn together, and those to come once more when the target has moved."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from verl_dots.methods.selection.rule import select
from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.state_values import Values, Within

logger = logging.getLogger(__name__)

STATE = {"queue", "reserve", "spare", "target", "drawn_by", "preferred", "unused"}


class Round:
    """What is left of a round.

    As long as the target stays, its batches are one draw without replacement over the round, cut at random
    (arXiv 2506.05316, algorithm 1). When it has moved, the batches to come are drawn again at the new one, from what
    the round has not handed out; what they are drawn by stays that of the round.

    Args:
        drawn_by_P: [P] adaptive difficulties, or expected shares of effective groups, predicted or measured; None draws
            uniformly, whatever the target.
        preferred_P: [P] bool, the candidates as long as there are enough of them.
        unused_P: [P] bool, all that may be drawn.
    """

    def __init__(self, drawn_by_P: np.ndarray | None, preferred_P: np.ndarray, unused_P: np.ndarray):
        self.drawn_by_P, self._preferred_P, self._unused_P = drawn_by_P, preferred_P, unused_P
        self._queue: list[np.ndarray] = []  # questions of the batches to come
        self._reserve = np.empty(0, dtype=np.int64)  # the next best, for what replay cannot fill
        self._spare = np.empty(0, dtype=np.int64)  # those after them, for groups that give way
        self._target: float | None = None  # that these were drawn at

    @property
    def over(self) -> bool:
        """Whether all batches are handed out."""
        return not self._queue

    @property
    def planned(self) -> np.ndarray:
        """Questions of the batches to come and of the reserve."""
        return np.concatenate([*self._queue, self._reserve])

    @property
    def further(self) -> np.ndarray:
        """Questions of no batch, in the order in which they fill one: the reserve and the spare ones."""
        return np.concatenate([self._reserve, self._spare])

    @property
    def drawn(self) -> np.ndarray:
        """These, and the spare ones."""
        return np.concatenate([self.planned, self._spare])

    def draw(
        self, sizes: Sequence[int], reserve: int, target: float, tau: float, rng: np.random.Generator, spare: int = 0
    ) -> None:
        """Draw batches of some sizes, `reserve` further questions, and `spare` more, or as many as are left.

        What was handed out comes again only in a batch that the rest cannot fill.
        """
        unused_P = self._unused_P.copy()
        chosen = self._draw(unused_P, sum(sizes), target, tau, rng)
        unused_P[chosen] = False
        self._reserve = self._draw(unused_P, min(reserve, int(unused_P.sum())), target, tau, rng)
        unused_P[self._reserve] = False
        self._spare = self._nearest(unused_P, spare, target, tau)
        self._queue, self._target = np.split(chosen, np.cumsum(sizes[:-1])), target

    def fill(self, chosen: np.ndarray, sizes: Sequence[int]) -> None:
        """Take batches of some sizes and the reserve from questions that were drawn uniformly."""
        *self._queue, self._reserve = np.split(chosen, np.cumsum(sizes))

    def follow(self, target: float, tau: float, rng: np.random.Generator) -> bool:
        """Draw the batches to come again if the target has moved; whether it has."""
        if self.drawn_by_P is None or target == self._target:
            return False
        sizes = [len(batch) for batch in self._queue]
        self.draw(sizes, len(self._reserve), target, tau, rng, len(self._spare))
        return True

    def next_batch(self) -> np.ndarray:
        """The next batch, handed out."""
        batch = self._queue.pop(0)
        self._unused_P[batch] = False
        return batch

    def top_up(self, count: int, exclude: Collection[int], rng: np.random.Generator) -> np.ndarray:
        """Up to `count` further questions, none of the excluded: the next best, then any at random.

        At random those come first that the round has not handed out and will not.
        """
        rest = self.further
        chosen = rest[~np.isin(rest, list(exclude))][:count]
        self._reserve, self._spare = (each[~np.isin(each, chosen)] for each in (self._reserve, self._spare))
        if len(chosen) < count:
            free = np.setdiff1d(np.arange(len(self._unused_P)), [*exclude, *chosen])
            without_turn = self._unused_P[free] & ~np.isin(free, self.planned)
            for part in (free[without_turn], free[~without_turn]):
                if len(chosen) < count:
                    chosen = np.concatenate([chosen, rng.permutation(part)[: count - len(chosen)]])
        self._unused_P[chosen] = False
        return chosen

    def _draw(
        self, unused_P: np.ndarray, count: int, target: float, tau: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Too few of the preferred: all that is unused are candidates; too few of these: all questions."""
        if (left := int(unused_P.sum())) < count:
            chosen = np.concatenate([np.flatnonzero(unused_P), self._draw(~unused_P, count - left, target, tau, rng)])
            return rng.permutation(chosen)
        preferred_P = self._preferred_P & unused_P
        candidates = np.flatnonzero(preferred_P if preferred_P.sum() >= count else unused_P)
        if self.drawn_by_P is None:
            return candidates[rng.permutation(len(candidates))[:count]]
        return candidates[select(self.drawn_by_P[candidates], count, target, tau, rng)]

    def _nearest(self, unused_P: np.ndarray, count: int, target: float, tau: float) -> np.ndarray:
        """Up to `count`, nearest first. None is drawn: where no group gives way the generator is as without them."""
        if self.drawn_by_P is None or np.isinf(tau):
            return np.empty(0, dtype=np.int64)
        left = np.flatnonzero(self._preferred_P & unused_P)
        return left[np.argsort(np.abs(self.drawn_by_P[left] - target), kind="stable")][:count]

    def state_dict(self) -> dict[str, Any]:
        return {
            "queue": list(self._queue),
            "reserve": self._reserve,
            "spare": self._spare,
            "target": self._target,
            "drawn_by": self.drawn_by_P,
            "preferred": self._preferred_P,
            "unused": self._unused_P.copy(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], questions: int) -> "Round":
        """The round of such a state, over P questions."""
        saved, known = Values("selection round", state, STATE), Within(0, questions - 1)
        drawn_by_P = saved.array("drawn_by", np.float64, (questions,)) if saved.given("drawn_by") else None
        found = cls(drawn_by_P, *(saved.array(name, bool, (questions,)) for name in ("preferred", "unused")))
        found._queue = saved.arrays("queue", np.int64, (None,), known)
        found._reserve, found._spare = (saved.array(name, np.int64, (None,), known) for name in ("reserve", "spare"))
        # What was drawn by difficulty was drawn at a target.
        found._target = saved.number("target") if saved.given("target") or drawn_by_P is not None else None
        return found


def rounds_batches(settings: SelectionConfig, questions: int, batch_size: int) -> int:
    """Train batches of one round: mu, or as many as the questions are enough for. Says so where that matters.

    Raises:
        ValueError: fewer questions than references or than one batch.
    """
    if settings.references > questions:
        raise ValueError(
            f"dots.selection.references={settings.references} is more than the {questions} questions of the data; "
            "lower it or add data"
        )
    if batch_size > questions:
        raise ValueError(
            f"data.train_batch_size={batch_size} is more than the {questions} questions that can be selected; lower it "
            "or add data"
        )
    batches = min(settings.mu, questions // batch_size)
    if settings.references > batches * batch_size:
        logger.warning(
            "dots.selection.references=%d groups are rolled out to select %d questions a round. The paper has a "
            "quarter as many as it selects, here %d",
            settings.references, batches * batch_size, max(1, batches * batch_size // 4),
        )  # fmt: skip
    if batches < settings.mu:
        logger.warning(
            "dots.selection.mu=%d batches of %d need more than the %d questions of the data: selecting %d a round",
            settings.mu, batch_size, questions, batches,
        )  # fmt: skip
    elif not settings.references_are_candidates and questions - settings.references < batches * batch_size:
        logger.warning(
            "only %d questions: %d references and %d batches of %d overlap, so references can be selected too",
            questions, settings.references, batches, batch_size,
        )  # fmt: skip
    return batches
