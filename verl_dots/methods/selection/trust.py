"""When predicted difficulties are not worth their references, and for how long."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from verl_dots.difficulty.agreement import pearson
from verl_dots.state import require_keys

logger = logging.getLogger(__name__)


class Trust:
    """Whether predictions are good enough to select by, judged on references drawn uniformly.

    The selected questions cannot tell: all of them were predicted alike, so little correlation is left among them.

    Args:
        floor: least Pearson correlation.
        rounds: how many rounds' references it is taken over; no verdict before they are there.
        pause: rounds of uniform selection after one with a verdict against the predictions.
    """

    def __init__(self, floor: float, rounds: int, pause: int):
        self.floor, self.rounds, self.pause = floor, rounds, pause
        self._window: list[np.ndarray] = []  # [2, K] predicted and measured, one a round
        self.paused = 0
        self.rho = float("nan")  # over the window as it was last judged; nan where nothing can be said

    def judge(self, predicted_K: np.ndarray, measured_K: np.ndarray) -> None:
        """Take in one round's references; predictions are those made without the question's own outcome."""
        self._window = [*self._window, np.stack([predicted_K, measured_K]).astype(np.float64)][-self.rounds :]
        predicted_N, measured_N = np.concatenate(self._window, axis=1)
        self.rho = pearson(predicted_N, measured_N)
        if np.isnan(self.rho) and np.ptp(measured_N) > 0:
            self.rho = 0.0  # predictions that are all alike order nothing
        if len(self._window) == self.rounds and self.rho < self.floor:
            logger.warning(
                "predicted and measured difficulty of the last %d rounds' references correlate by %.2f, below "
                "dots.selection.rho_floor=%g: questions are drawn uniformly in this round and the next %d, then "
                "predictions are tried again", self.rounds, self.rho, self.floor, self.pause,
            )  # fmt: skip
            self._window, self.paused = [], self.pause

    def pass_round(self) -> None:
        """Count one round of uniform selection."""
        self.paused -= 1

    def state_dict(self) -> dict[str, Any]:
        return {"window": list(self._window), "paused": self.paused}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        require_keys("trust in the predictions", state, {"window", "paused"})
        self._window, self.paused = list(state["window"]), state["paused"]
