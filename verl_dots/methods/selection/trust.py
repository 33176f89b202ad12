"""When predicted difficulties are not worth their references, and for how long."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from verl_dots.difficulty.agreement import pearson
from verl_dots.state_values import Values, Within

logger = logging.getLogger(__name__)

# Pairs of which a correlation is known to about 0.2; a few questions a round are not enough for a verdict.
LEAST = 32


class Trust:
    """Whether predictions are good enough to select by, judged on references drawn uniformly.

    The selected questions cannot tell: all of them were predicted alike, so little correlation is left among them.

    Args:
        floor: least Pearson correlation.
        rounds: how many rounds' references it is taken over; no verdict before they are there.
        pause: rounds of uniform selection after one with a verdict against the predictions.
        least: pairs that a verdict needs; where the last `rounds` have fewer, earlier rounds count, too.
    """

    def __init__(self, floor: float, rounds: int, pause: int, least: int = 0):
        self.floor, self.rounds, self.pause, self.least = floor, rounds, pause, least
        self._window: list[np.ndarray] = []  # [2, K] predicted and measured, one a round
        self.paused = 0
        self.rho = float("nan")  # over the window as it was last judged; nan where nothing can be said

    def judge(self, predicted_K: np.ndarray, measured_K: np.ndarray) -> None:
        """Take in one round's references, if any; predictions are those made without the question's own outcome."""
        if not len(predicted_K):
            return
        self._window = [*self._window, np.stack([predicted_K, measured_K]).astype(np.float64)]
        while len(self._window) > self.rounds and self.pairs - self._window[0].shape[1] >= self.least:
            self._window = self._window[1:]
        predicted_N, measured_N = np.concatenate(self._window, axis=1)
        self.rho = pearson(predicted_N, measured_N)
        if np.isnan(self.rho) and np.ptp(measured_N) > 0:
            self.rho = 0.0  # predictions that are all alike order nothing
        if len(self._window) >= self.rounds and self.pairs >= self.least and self.rho < self.floor:
            logger.warning(
                "predicted and measured difficulty of the last %d rounds' references correlate by %.2f, below "
                "dots.selection.rho_floor=%g: questions are drawn uniformly in this round and the next %d, then "
                "predictions are tried again", len(self._window), self.rho, self.floor, self.pause,
            )  # fmt: skip
            self._window, self.paused = [], self.pause

    def pass_round(self) -> None:
        """Count one round of uniform selection."""
        self.paused = max(0, self.paused - 1)

    @property
    def pairs(self) -> int:
        """Predicted and measured difficulties that `rho` is taken over."""
        return sum(pairs.shape[1] for pairs in self._window)

    def state_dict(self) -> dict[str, Any]:
        return {"window": list(self._window), "paused": self.paused, "rho": self.rho}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved = Values("trust in the predictions", state, {"window", "paused", "rho"})
        window, paused = saved.arrays("window", np.float64, (2, None)), saved.whole("paused")
        self.rho = saved.number("rho", Within(-1.001, 1.001, nan=True))
        self._window, self.paused = window, paused
