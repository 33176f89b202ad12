"""E3: how many rollouts each question of a batch gets, by how it has done so far (arXiv 2505.18573, section 3)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from verl_dots.methods.e3.budget_rule import allocate, caps, ranks
from verl_dots.methods.e3.question_rewards import EpochRewards


class RolloutBudget:
    """Rollouts of a batch's questions, n on average, more for those with a low cumulative mean reward.

    Ranks and caps are of an epoch, see `EpochRewards`.

    Args:
        questions: P, of the data set.
        n: rollouts of a question on average.
        widest: (least, most) rollouts of a question, once the caps are at their widest.
        step: by how much the caps widen each epoch, from (n, n); None for the widest at once.
        remainder: who gets what shares rounded down leave, see `allocate`.

    Raises:
        ValueError: caps that do not allow n on average.
    """

    def __init__(
        self, questions: int, n: int, widest: tuple[int, int], step: int | None = 2, remainder: str = "hardest"
    ):
        if not 0 <= widest[0] <= n <= widest[1] or (step or 0) < 0:
            raise ValueError(
                f"rollouts of a question from {widest[0]} to {widest[1]} do not allow n={n} on average; the least must "
                "be at most n, the most at least n"
            )
        self.n, self.widest, self.step, self.remainder = n, widest, step, remainder
        self._rewards = EpochRewards(questions, n)

    @property
    def epoch(self) -> int:
        """Epochs of rollouts so far."""
        return self._rewards.epoch

    @property
    def caps(self) -> tuple[int, int]:
        """(least, most) rollouts of a question in this epoch."""
        return caps(self.epoch, self.n, self.widest, self.step)

    def allocate(self, questions_B: np.ndarray) -> np.ndarray:
        """[B] rollouts of the questions of a batch: n * B in total, each within the caps."""
        return self.allocate_by(ranks(self._rewards.mean_P)[questions_B])

    def allocate_by(self, rank_B: np.ndarray) -> np.ndarray:
        """The same by given ranks, greater is harder."""
        return allocate(rank_B, self.n, *self.caps, self.remainder)

    def observe(self, questions_N: np.ndarray, mean_reward_N: np.ndarray, rollouts_N: np.ndarray) -> None:
        """Take in groups that were rolled out: their questions, mean rewards and sizes."""
        self._rewards.observe(questions_N, mean_reward_N, rollouts_N)

    def state_dict(self) -> dict[str, Any]:
        return self._rewards.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._rewards.load_state_dict(state)
