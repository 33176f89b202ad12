"""Which questions a simulated step rolls out: the methods' own rules, without anything that costs P log P a step.

The curricula of a run (`SelectionCurriculum`, `TargetCurriculum`, `MoPPSState`) sort or permute all questions in each
step. At a million this would be seconds. Here their rules see only the questions that they could choose.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verl_dots.methods.adarft.rule import nearest_unused
from verl_dots.methods.adarft.state import Target
from verl_dots.methods.mopps.rule import evidence, mean_success, posterior, thompson
from verl_dots.methods.mopps.settings import MoPPSConfig
from verl_dots.methods.nearest import nearest


@dataclass(frozen=True)
class Rolled:
    """Groups that were rolled out.

    Attributes:
        questions_N: of each.
        right_N: successes.
        rollouts_N: of each.
    """

    questions_N: np.ndarray
    right_N: np.ndarray
    rollouts_N: np.ndarray

    @property
    def success_N(self) -> np.ndarray:
        return self.right_N / self.rollouts_N

    @property
    def effective_N(self) -> np.ndarray:
        return (self.right_N > 0) & (self.right_N < self.rollouts_N)

    def at(self, place: np.ndarray) -> "Rolled":
        return Rolled(self.questions_N[place], self.right_N[place], self.rollouts_N[place])

    def and_(self, others: "Rolled") -> "Rolled":
        names = ("questions_N", "right_N", "rollouts_N")
        return Rolled(*(np.concatenate([getattr(self, name), getattr(others, name)]) for name in names))


NOTHING = Rolled(*np.zeros((3, 0), dtype=np.int64))


class Source(Protocol):
    """Names the questions of each step.

    Attributes:
        spent: rollouts so far that no step trains on as fresh ones: references.
        reused: groups of references that this step trains on.
        target: adaptive difficulty that the step aims at.
    """

    spent: int
    reused: Rolled
    target: float

    def plan(self, step: int, temperature: float) -> np.ndarray: ...

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray: ...

    def predicted(self, questions_N: np.ndarray) -> np.ndarray: ...

    def observe(self, step: int, rolled: Rolled) -> None: ...


def unpredicted(questions_N: np.ndarray) -> np.ndarray:
    """[N] nan: the difficulties of a source that predicts none."""
    return np.full(len(questions_N), np.nan)


class Uniform:
    """verl's loader: one epoch after another, each in random order; over all questions, or over some."""

    spent, reused, target = 0, NOTHING, 0.5

    def __init__(self, questions: np.ndarray, fresh: int, rng: np.random.Generator):
        self.questions, self.fresh, self.rng = questions, fresh, rng
        self._left = np.empty(0, dtype=np.int64)

    def plan(self, step: int, temperature: float) -> np.ndarray:
        return self.top_up(self.fresh, ())

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further ones, none of the excluded, which are passed over."""
        chosen = np.empty(0, dtype=np.int64)
        passed = np.array(list(exclude), dtype=np.int64)
        begun = 0  # epochs
        while len(chosen) < count and (len(self._left) or begun < 2):
            if not len(self._left):
                self._left, begun = self.rng.permutation(self.questions), begun + 1
            taken, self._left = np.split(self._left, [count - len(chosen)])
            chosen = np.concatenate([chosen, taken[~np.isin(taken, [*passed, *chosen])]])
        return chosen

    predicted = staticmethod(unpredicted)

    def observe(self, step: int, rolled: Rolled) -> None:
        """Uniform sampling learns nothing."""


class NearTarget:
    """AdaRFT: the questions nearest to a target difficulty, which is static and known.

    Args:
        target: the controller, see `verl_dots.methods.adarft.state`.
        difficulty_P: [P] static difficulties in the unit of the target.
        fresh: questions of a step.
        rng: draws among equally near ones.
    """

    spent, reused = 0, NOTHING

    def __init__(self, target: Target, difficulty_P: np.ndarray, fresh: int, rng: np.random.Generator):
        self.controller, self.fresh, self.rng = target, fresh, rng
        low, high = target.settings.within or (-np.inf, np.inf)
        self._allowed = np.flatnonzero((difficulty_P >= low) & (difficulty_P <= high))
        self._difficulty_P = difficulty_P
        self._used_P = np.zeros(len(difficulty_P), dtype=bool)

    @property
    def target(self) -> float:
        low, high = self.controller.settings.range
        return (self.controller.value - low) / (high - low)

    def plan(self, step: int, temperature: float) -> np.ndarray:
        return self.top_up(self.fresh, ())

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further ones, none of the excluded."""
        count = min(count, len(self._allowed) - len(exclude))
        value, coverage = self.controller.value, self.controller.settings.coverage
        if coverage is not None:
            free = self._allowed[~np.isin(self._allowed, list(exclude))]
            used_N = self._used_P[free]
            chosen = nearest_unused(self._difficulty_P[free], value, count, used_N, coverage, self.rng)
            self._used_P[free] = used_N
            return free[chosen]
        distance_P = np.abs(self._difficulty_P[self._allowed] - value)
        last = min(count + len(exclude), len(self._allowed)) - 1
        if last < 0:
            return np.empty(0, dtype=np.int64)
        near = self._allowed[distance_P <= np.partition(distance_P, last)[last]]
        near = near[~np.isin(near, list(exclude))]
        return near[nearest(self._difficulty_P[near], value, min(count, len(near)), self.rng)]

    predicted = staticmethod(unpredicted)

    def observe(self, step: int, rolled: Rolled) -> None:
        self.controller.follow(float(rolled.success_N.mean()), step)


class Posterior:
    """MoPPS: the questions whose success rate, drawn from their posteriors, is nearest to the target.

    Args:
        settings: of MoPPS, without reference models.
        questions: P.
        fresh: questions of a step.
        rng: draws candidates and success rates.
    """

    spent, reused = 0, NOTHING

    def __init__(self, settings: MoPPSConfig, questions: int, fresh: int, rng: np.random.Generator):
        self.settings, self.questions, self.fresh, self.rng = settings, questions, fresh, rng
        self.target = settings.target
        self._counts_P2 = np.tile(np.array(settings.prior, dtype=np.float64), (questions, 1))
        self._measured_P = np.zeros(questions, dtype=bool)

    def plan(self, step: int, temperature: float) -> np.ndarray:
        return self.top_up(self.fresh, ())

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further ones, none of the excluded."""
        candidates = self.questions if self.settings.candidates is None else self.settings.candidates * count
        free = others(self.questions, candidates, exclude, self.rng)
        return free[thompson(self._counts_P2[free], self.target, min(count, len(free)), self.rng)]

    def predicted(self, questions_N: np.ndarray) -> np.ndarray:
        """[N] predicted difficulties, nan where there is a prior alone."""
        predicted_N = 1 - mean_success(self._counts_P2[questions_N])
        return np.where(self._measured_P[questions_N], predicted_N, np.nan)

    def observe(self, step: int, rolled: Rolled) -> None:
        questions_N, settings = rolled.questions_N, self.settings
        found_N2 = evidence(rolled.success_N, rolled.rollouts_N)
        self._measured_P[questions_N] = True
        self._counts_P2[questions_N] = posterior(
            self._counts_P2[questions_N], found_N2, settings.prior, settings.memory
        )


def others(questions: int, count: int, exclude: Collection[int], rng: np.random.Generator) -> np.ndarray:
    """Up to `count` different questions drawn uniformly from `questions`, none of the excluded."""
    wanted = min(questions, count + len(exclude))
    drawn = rng.choice(questions, wanted, replace=False)
    return drawn[~np.isin(drawn, list(exclude))][:count]
