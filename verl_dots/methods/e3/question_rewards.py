"""What each question of a data set has been rewarded with so far."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from verl_dots.state import require_equal, require_keys


class QuestionRewards:
    """Cumulative mean reward of each of P questions."""

    def __init__(self, questions: int):
        self._reward_P = np.zeros(questions)  # sum over all rollouts so far
        self._count_P = np.zeros(questions, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._count_P)

    @property
    def rollouts(self) -> int:
        """Of all questions together."""
        return int(self._count_P.sum())

    @property
    def mean_P(self) -> np.ndarray:
        """[P] mean reward, NaN for a question without rollouts."""
        with np.errstate(invalid="ignore"):
            return self._reward_P / self._count_P

    def observe(self, questions_N: np.ndarray, mean_reward_N: np.ndarray, rollouts_N: np.ndarray) -> None:
        """Take in groups that were rolled out: their questions, mean rewards and sizes."""
        np.add.at(self._reward_P, questions_N, np.asarray(mean_reward_N) * rollouts_N)
        np.add.at(self._count_P, questions_N, rollouts_N)

    def state_dict(self) -> dict[str, Any]:
        return {"reward": self._reward_P.copy(), "count": self._count_P.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        require_keys("rewards of the questions", state, {"reward", "count"})
        require_equal("questions with a reward", len(state["count"]), len(self))
        self._reward_P, self._count_P = state["reward"].copy(), state["count"].copy()
