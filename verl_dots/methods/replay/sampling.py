"""Which groups of the buffer are replayed, and how many of a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from verl_dots.methods.nearest import nearest
from verl_dots.stored import ReplayGroup

# (candidates, how many, target difficulty, generator) -> positions of as many different candidates
Sampling = Callable[[Sequence[ReplayGroup], int, float, np.random.Generator], np.ndarray]


def uniform(candidates: Sequence[ReplayGroup], count: int, target: float, rng: np.random.Generator) -> np.ndarray:
    """The paper's: every group alike."""
    return rng.permutation(len(candidates))[:count]


def freshest(candidates: Sequence[ReplayGroup], count: int, target: float, rng: np.random.Generator) -> np.ndarray:
    """The newest groups, those of one step in random order."""
    steps = np.array([group.step for group in candidates], dtype=np.float64)
    return nearest(steps, steps.max(initial=0), count, rng)


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
        return nearest((self.high - reward) / (self.high - self.low), target, count, rng)


def fresh_count(batch_size: int, delta: float) -> int:
    """Questions of a batch of `batch_size` that are rolled out fresh; the rest are replayed (paper: delta * B).

    Raises:
        ValueError: delta outside (0, 1], or so small that nothing is fresh.
    """
    if not 0 < delta <= 1:
        raise ValueError(f"delta={delta}: the fresh share of a batch must be above 0 and at most 1")
    fresh = round(delta * batch_size)
    if fresh == 0:
        raise ValueError(f"delta={delta} of a batch of {batch_size} questions leaves none to roll out fresh")
    return fresh
