"""E3: how many rollouts each question of a batch gets, by how it has done so far (arXiv 2505.18573, section 3)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from verl_dots.algorithms.budget import allocate, caps, ranks
from verl_dots.state import require_equal, require_keys


class RolloutBudget:
    """Rollouts of a batch's questions, n on average, more for those with a low cumulative mean reward.

    Ranks and caps are of an epoch: they change when as many rollouts have been observed as n for each question.

    Args:
        questions: P, of the data set.
        n: rollouts of a question on average.
        widest: (least, most) rollouts of a question, once the caps are at their widest.
        step: by how much the caps widen each epoch, from (n, n).

    Raises:
        ValueError: caps that do not allow n on average.
    """

    def __init__(self, questions: int, n: int, widest: tuple[int, int], step: int = 2):
        if not 0 <= widest[0] <= n <= widest[1] or step < 0:
            raise ValueError(
                f"rollouts of a question from {widest[0]} to {widest[1]} do not allow n={n} on average; the least must "
                "be at most n, the most at least n"
            )
        self.n, self.widest, self.step = n, widest, step
        self._reward_P = np.zeros(questions)  # sum over all rollouts so far
        self._count_P = np.zeros(questions, dtype=np.int64)
        self._rank_P = np.full(questions, 0.5)  # of the epoch
        self.epoch = 0

    @property
    def caps(self) -> tuple[int, int]:
        """(least, most) rollouts of a question in this epoch."""
        return caps(self.epoch, self.n, self.widest, self.step)

    def allocate(self, questions_B: np.ndarray) -> np.ndarray:
        """[B] rollouts of the questions of a batch: n * B in total, each within the caps."""
        return allocate(self._rank_P[questions_B], self.n, *self.caps)

    def observe(self, questions_N: np.ndarray, mean_reward_N: np.ndarray, rollouts_N: np.ndarray) -> None:
        """Take in groups that were rolled out: their questions, mean rewards and sizes."""
        np.add.at(self._reward_P, questions_N, np.asarray(mean_reward_N) * rollouts_N)
        np.add.at(self._count_P, questions_N, rollouts_N)
        epoch = int(self._count_P.sum()) // (self.n * len(self._count_P))
        if epoch > self.epoch:
            self.epoch = epoch
            with np.errstate(invalid="ignore"):
                self._rank_P = ranks(self._reward_P / self._count_P)

    def state_dict(self) -> dict[str, Any]:
        arrays = {"reward": self._reward_P, "count": self._count_P, "rank": self._rank_P}
        return {name: array.copy() for name, array in arrays.items()} | {"epoch": self.epoch, "n": self.n}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        require_keys("rollout budget", state, {"reward", "count", "rank", "epoch", "n"})
        require_equal("questions with a budget", len(state["count"]), len(self._count_P))
        require_equal("actor_rollout_ref.rollout.n", state["n"], self.n)
        self._reward_P, self._count_P = state["reward"].copy(), state["count"].copy()
        self._rank_P, self.epoch = state["rank"].copy(), state["epoch"]
