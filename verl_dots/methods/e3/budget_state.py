"""E3: how many rollouts each question of a batch gets, by how it has done so far (arXiv 2505.18573, section 3)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from verl_dots.methods.e3.budget_rule import allocate, caps, ranks
from verl_dots.methods.e3.question_rewards import QuestionRewards
from verl_dots.state import require_equal, require_keys


class RolloutBudget:
    """Rollouts of a batch's questions, n on average, more for those with a low cumulative mean reward.

    Ranks and caps are of an epoch: they change when as many rollouts have been observed as n for each question.

    Args:
        questions: P, of the data set.
        n: rollouts of a question on average.
        widest: (least, most) rollouts of a question, once the caps are at their widest.
        step: by how much the caps widen each epoch, from (n, n); None for the widest at once.

    Raises:
        ValueError: caps that do not allow n on average.
    """

    def __init__(self, questions: int, n: int, widest: tuple[int, int], step: int | None = 2):
        if not 0 <= widest[0] <= n <= widest[1] or (step or 0) < 0:
            raise ValueError(
                f"rollouts of a question from {widest[0]} to {widest[1]} do not allow n={n} on average; the least must "
                "be at most n, the most at least n"
            )
        self.n, self.widest, self.step = n, widest, step
        self._rewards = QuestionRewards(questions)
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
        self._rewards.observe(questions_N, mean_reward_N, rollouts_N)
        epoch = self._rewards.rollouts // (self.n * len(self._rewards))
        if epoch > self.epoch:
            self.epoch, self._rank_P = epoch, ranks(self._rewards.mean_P)

    def state_dict(self) -> dict[str, Any]:
        return {"rewards": self._rewards.state_dict(), "rank": self._rank_P.copy(), "epoch": self.epoch, "n": self.n}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        require_keys("rollout budget", state, {"rewards", "rank", "epoch", "n"})
        require_equal("actor_rollout_ref.rollout.n", state["n"], self.n)
        self._rewards.load_state_dict(state["rewards"])
        self._rank_P, self.epoch = state["rank"].copy(), state["epoch"]
