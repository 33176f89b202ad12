"""Which groups of the buffer are replayed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from verl_dots.stored import ReplayGroup

# (candidates, how many, target difficulty, generator) -> positions of as many different candidates
Sampling = Callable[[Sequence[ReplayGroup], int, float, np.random.Generator], np.ndarray]


def uniform(candidates: Sequence[ReplayGroup], count: int, target: float, rng: np.random.Generator) -> np.ndarray:
    """The paper's: every group alike."""
    return rng.permutation(len(candidates))[:count]


def freshest(candidates: Sequence[ReplayGroup], count: int, target: float, rng: np.random.Generator) -> np.ndarray:
    """The newest groups, those of one step in random order."""
    return _least(np.array([-group.step for group in candidates], dtype=np.float64), count, rng)


@dataclass(frozen=True)
class Nearest:
    """Groups whose measured difficulty was nearest to the target of the step, equally near ones in random order.

    Attributes:
        low, high: rewards of difficulty 1 and 0.
    """

    low: float = 0.0
    high: float = 1.0

    def __call__(
        self, candidates: Sequence[ReplayGroup], count: int, target: float, rng: np.random.Generator
    ) -> np.ndarray:
        reward = np.array([group.mean_reward for group in candidates])
        return _least(np.abs((self.high - reward) / (self.high - self.low) - target), count, rng)


def _least(key: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of the least keys, ties broken by the generator."""
    return np.lexsort((rng.permutation(len(key)), key))[:count]
