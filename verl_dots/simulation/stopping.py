"""Stopping early in a simulated step: groups in two parts, by the rule of `verl_dots.methods.stop_early`.

The second part of a stopped group is drawn all the same, from a stream of its own. Nothing but the figures sees it, and
it tells which groups have stopped wrongly. A run knows that of its audited groups alone.
"""

from dataclasses import dataclass

import numpy as np

from verl_dots.methods.stop_early.rule import alike_probability, first_size
from verl_dots.methods.stop_early.settings import StopEarlyConfig
from verl_dots.simulation.response import Policy
from verl_dots.simulation.sources import NOTHING, Rolled

RANGE = (0.0, 1.0)  # of the rewards


@dataclass(frozen=True)
class Parts:
    """What became of the groups of a step.

    Attributes:
        whole: groups that have all their rollouts.
        stopped: groups that have their first alone.
        saved: rollouts that these were spared.
        lost: stopped groups whose rest would have differed from their first.
    """

    whole: Rolled
    stopped: Rolled = NOTHING
    saved: int = 0
    lost: int = 0


class Stopping:
    """Stopping early for one run.

    Args:
        settings: of stopping early.
        rng: draws what is audited.
    """

    def __init__(self, settings: StopEarlyConfig, rng: np.random.Generator):
        self.settings, self.rng = settings, rng

    def roll_out(
        self, policy: Policy, questions_N: np.ndarray, rollouts_N: np.ndarray, temperature: float,
        predicted_N: np.ndarray,
    ) -> Parts:  # fmt: skip
        """Roll out the questions of a step in two parts.

        Args:
            rollouts_N: of each, in all.
            predicted_N: their predicted difficulties, nan where nothing is predicted.
        """
        first_N = np.array([first_size(size, self.settings.first) for size in rollouts_N.tolist()], dtype=np.int64)
        begun_N = policy.roll_out(questions_N, first_N, temperature)
        right_N = begun_N + policy.roll_out(questions_N, rollouts_N - first_N, temperature)
        stops_N = self._stops(begun_N, first_N, rollouts_N, predicted_N)
        all_parts = Rolled(questions_N, right_N, rollouts_N)
        first_parts = Rolled(questions_N, begun_N, first_N)
        return Parts(
            all_parts.at(np.flatnonzero(~stops_N)), first_parts.at(np.flatnonzero(stops_N)),
            saved=int((rollouts_N - first_N)[stops_N].sum()), lost=int(all_parts.effective_N[stops_N].sum()),
        )  # fmt: skip

    def _stops(
        self, begun_N: np.ndarray, first_N: np.ndarray, rollouts_N: np.ndarray, predicted_N: np.ndarray
    ) -> np.ndarray:
        """[N] bool, which groups stop."""
        alike_N = np.flatnonzero(((begun_N == 0) | (begun_N == first_N)) & (first_N < rollouts_N))
        alike_N = alike_N[np.isfinite(predicted_N[alike_N])]
        sure = [
            alike_probability(
                [float(begun_N[place] > 0)] * int(first_N[place]), int(rollouts_N[place]), float(predicted_N[place]),
                self.settings.strength, RANGE,
            ) >= self.settings.confidence
            for place in alike_N
        ]  # fmt: skip
        could_stop_N = alike_N[np.array(sure, dtype=bool)]
        stops_N = np.zeros(len(begun_N), dtype=bool)
        stops_N[could_stop_N[self.rng.random(len(could_stop_N)) >= self.settings.audit]] = True
        return stops_N
