"""What each question of a data set has been rewarded with: so far, and up to the last epoch, by which E3 ranks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from verl_dots.state import require_equal
from verl_dots.state_values import COUNT, Values, Within


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
        saved = Values("rewards of the questions", state, {"reward", "count"})
        count_P = saved.array("count", np.int64, (None,), COUNT)
        require_equal("questions with a reward", len(count_P), len(self))
        self._reward_P, self._count_P = saved.array("reward", np.float64, (len(self),)), count_P


class EpochRewards:
    """Cumulative mean rewards as they were when an epoch of rollouts ended, held over the next one.

    An epoch ends when as many rollouts have been observed as n for each question.

    Args:
        questions: P, of the data set.
        n: rollouts of a question on average.
    """

    def __init__(self, questions: int, n: int):
        self.n, self.epoch = n, 0  # epochs so far
        self.seen = QuestionRewards(questions)
        self.mean_P = self.seen.mean_P  # of the epochs so far, NaN for a question without rollouts in them

    def observe(self, questions_N: np.ndarray, mean_reward_N: np.ndarray, rollouts_N: np.ndarray) -> None:
        """Take in groups that were rolled out: their questions, mean rewards and sizes."""
        self.seen.observe(questions_N, mean_reward_N, rollouts_N)
        epoch = self.seen.rollouts // (self.n * len(self.seen))
        if epoch > self.epoch:
            self.epoch, self.mean_P = epoch, self.seen.mean_P

    def state_dict(self) -> dict[str, Any]:
        return {"rewards": self.seen.state_dict(), "mean": self.mean_P.copy(), "epoch": self.epoch, "n": self.n}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved = Values("rewards of the epochs", state, {"rewards", "mean", "epoch", "n"})
        saved.same("n", "actor_rollout_ref.rollout.n", self.n)
        self.seen.load_state_dict(saved.raw("rewards"))  # which tells whether it is of as many questions
        self.mean_P = saved.array("mean", np.float64, (len(self.seen),), Within(nan=True))
        self.epoch = saved.whole("epoch")
