"""Rollout replay in a simulated step: a run's own buffer, with groups that have rewards and no tokens."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from verl_dots.methods.replay.buffer import ReplayBuffer
from verl_dots.methods.replay.sampling import Nearest, freshest, uniform
from verl_dots.methods.replay.settings import ReplayConfig
from verl_dots.simulation.sources import Rolled
from verl_dots.stored import ReplayGroup

SAMPLINGS = {"uniform": uniform, "freshest": freshest, "nearest": Nearest()}
EMPTY = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Again:
    """A replayed group: the step that sampled it, and its rollouts."""

    step: int
    size: int


class SimulatedReplay:
    """Replay for one run.

    Args:
        settings: of replay.
        batch_size: B, groups of a batch.
        rng: draws what is replayed.
    """

    def __init__(self, settings: ReplayConfig, batch_size: int, rng: np.random.Generator):
        self.settings, self.batch_size = settings, batch_size
        self.buffer = ReplayBuffer(
            settings.capacity, (0.0, 1.0), settings.max_age, SAMPLINGS[settings.sampling], rng,
            newest_only=settings.overlap != "buffer",
        )  # fmt: skip
        self.overlap = settings.overlap != "none"

    def fill(
        self, step: int, fresh: Collection[int], target: float
    ) -> tuple[np.ndarray, list[Again], int, Collection[int]]:
        """What a batch with some fresh questions replays.

        Returns:
            [R] questions of the replayed groups, the groups, how many further questions the batch lacks, and those that
            these must not be.
        """
        self.buffer.expire(step)
        count = self.batch_size - len(fresh) if step > self.settings.fresh_steps else 0
        without = () if self.overlap else [str(question) for question in fresh]
        groups = self.buffer.sample(count, exclude=without, target=target)
        questions_N = np.array([int(group.question) for group in groups], dtype=np.int64)
        missing = self.batch_size - len(fresh) - len(groups)
        taken = fresh if self.overlap else {*fresh, *questions_N.tolist()}
        return questions_N, [Again(group.step, len(group.rewards_G)) for group in groups], missing, taken

    def keep(self, step: int, own: Rolled, temperature: float) -> None:
        """Put the step's own groups into the buffer, which keeps the effective ones."""
        rows = zip(own.questions_N.tolist(), own.right_N.tolist(), own.rollouts_N.tolist(), strict=True)
        self.buffer.put(
            ReplayGroup(
                str(question), step, temperature, EMPTY, EMPTY, _rewards(right, rollouts), EMPTY, EMPTY, EMPTY, EMPTY
            )
            for question, right, rollouts in rows
        )


@lru_cache(maxsize=4096)
def _rewards(right: int, rollouts: int) -> np.ndarray:
    return (np.arange(rollouts) < right).astype(np.float64)
