"""Predicted difficulties: what features tell of a question, and what K references tell of the features.

Of a question's latent difficulty d a predictor sees f = m + x (d - m) + s sqrt(x (1 - x)) u. m and s are the pool's
mean and standard deviation, u is standard normal and stays the question's own. Were d normal, d given f had the mean f
and the variance s^2 (1 - x). The predicted difficulty at ability a is the mean of 1 - success over that:

    predicted = F(f + e - a),    F(y) = mean of logistic(y + s sqrt(1 - x) z), z standard normal.

e is what too few references leave unknown. Questions belong to `features` kinds, and a kind's share K / features of the
references tells its mean. Its error has, in difficulty, the variance features * (V_u + V_m) / K: V_u is the variance
of difficulties around F, V_m that of a reference's measurement, mean p (1 - p) / G. Its root, divided by the mean slope
of F, is the standard deviation of e in logits, one draw a kind and a round: an average of noisy neighbours.

x is chosen such that `rho`, the Pearson correlation of predicted and true difficulty over the whole pool, is reached
with `rho_references` references. With fewer references it falls, with more it rises to what features can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from verl_dots.difficulty.agreement import pearson
from verl_dots.settings import ConfigError, require
from verl_dots.simulation.response import Policy
from verl_dots.step import effective_share

SAMPLE = 4096
REACH, STEP = 24.0, 0.01  # of the tables, logits
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)


@dataclass(frozen=True)
class Quality:
    """How good predictions are.

    Attributes:
        rho: correlation of predicted and true difficulty; 1 knows the truth.
        rho_references: K at which that holds.
        features: kinds of questions that references must tell apart (degrees of freedom of the predictor).
    """

    rho: float = 0.75
    rho_references: int = 256
    features: int = 20

    def __post_init__(self):
        require("--rho", self.rho, 0 <= self.rho <= 1, "must be a correlation in 0..1")
        require("--rho-references", self.rho_references, self.rho_references >= 1, "must be 1 or more")
        require("--features", self.features, 1 <= self.features <= 256, "must be in 1..256")


class Predictor:
    """Predictions for one run.

    Args:
        policy: whose questions are predicted.
        quality: how well.
        rollouts: G, of a reference.
        rng: draws what features do not tell, and in each round what references do not.

    Raises:
        ConfigError: a correlation that so few references cannot give.
    """

    def __init__(self, policy: Policy, quality: Quality, rollouts: int, rng: np.random.Generator):
        self.policy, self.quality, self.rng = policy, quality, rng
        difficulty_P = policy.difficulty_P
        self._kind_P = rng.integers(quality.features, size=len(difficulty_P), dtype=np.uint8)
        self._error_F = np.zeros(quality.features, dtype=np.float32)
        unknown_P = rng.standard_normal(len(difficulty_P), dtype=np.float32)
        self._mean, self._deviation = float(difficulty_P.mean()), float(difficulty_P.std())
        sample = difficulty_P[:SAMPLE].astype(np.float64)
        pairs = sample, unknown_P[:SAMPLE].astype(np.float64), rng.standard_normal(len(sample))
        self.told = 1.0 if quality.rho == 1 else self._search(pairs, rollouts)
        self._noise = 0.0 if quality.rho == 1 else self._of(self.told, pairs, rollouts)[1]
        self._seen_P = self._seen(self.told, difficulty_P, unknown_P).astype(np.float32)
        self._argument_P = np.empty_like(self._seen_P)
        grid = np.arange(-REACH, REACH, STEP)
        self._grid, spread = grid, self._spread(self.told)
        self._difficulty = smoothed(expit, grid, spread)
        self._effective = smoothed(lambda y: effective_share(expit(y), rollouts), grid, spread)

    def renew(self, references: float) -> None:
        """Predict anew, by so many references; a question counts by its weight in what is remembered."""
        deviation = self._noise / np.sqrt(references)
        self._error_F = (deviation * self.rng.standard_normal(self.quality.features)).astype(np.float32)

    def argument(self) -> np.ndarray:
        """[P] f + e - a of every question; the array is overwritten by the next call."""
        ability = self.policy.ability(self._seen_P)
        common = ability if np.ndim(ability) == 0 else np.float32(0)
        np.take(self._error_F - common, self._kind_P, out=self._argument_P)
        self._argument_P += self._seen_P
        if np.ndim(ability):
            self._argument_P -= ability
        return self._argument_P

    def difficulty(self, argument_N: np.ndarray) -> np.ndarray:
        """[N] predicted difficulties, F."""
        return np.interp(argument_N, self._grid, self._difficulty)

    def effectiveness(self, argument_N: np.ndarray) -> np.ndarray:
        """[N] expected shares of effective groups."""
        return np.interp(argument_N, self._grid, self._effective)

    def interval(self, by_effectiveness: bool, target: float, radius: float) -> tuple[float, float]:
        """Least and greatest argument whose value is within a radius of the target, beyond which none is."""
        table = self._effective if by_effectiveness else self._difficulty
        inside = np.flatnonzero(np.abs(table - target) <= radius)
        if not len(inside):
            inside = np.array([np.abs(table - target).argmin()])
        low, high = max(inside[0] - 1, 0), min(inside[-1] + 1, len(table) - 1)
        return (
            -np.inf if low == 0 else float(self._grid[low]),
            np.inf if high == len(table) - 1 else float(self._grid[high]),
        )

    def _seen(self, told: float, difficulty_P: np.ndarray, unknown_P: np.ndarray) -> np.ndarray:
        spread = self._deviation * np.sqrt(told * (1 - told))
        return self._mean + told * (difficulty_P - self._mean) + spread * unknown_P

    def _spread(self, told: float) -> float:
        return self._deviation * float(np.sqrt(1 - told))

    def _of(self, told: float, pairs: tuple[np.ndarray, ...], rollouts: int) -> tuple[float, float]:
        """(rho with quality.rho_references references, deviation of e in logits with one) on the sample."""
        difficulty_P, unknown_P, error_P = pairs
        seen_P, spread, true_P = self._seen(told, difficulty_P, unknown_P), self._spread(told), expit(difficulty_P)
        predicted_P = smoothed(expit, seen_P, spread)
        variance = np.mean((true_P - predicted_P) ** 2) + np.mean(true_P * (1 - true_P)) / rollouts
        slope = np.mean(smoothed(lambda y: expit(y) * (1 - expit(y)), seen_P, spread))
        noise = float(np.sqrt(self.quality.features * variance) / max(slope, 1e-6))
        error_P = noise / np.sqrt(self.quality.rho_references) * error_P
        return pearson(smoothed(expit, seen_P + error_P, spread), true_P), noise

    def _search(self, pairs: tuple[np.ndarray, ...], rollouts: int) -> float:
        """x by bisection."""
        low, high, quality = 0.0, 1.0, self.quality
        if self._deviation == 0:
            return 0.0
        if (best := self._of(high, pairs, rollouts)[0]) < quality.rho:
            raise ConfigError(
                f"--rho {quality.rho:g}: with --rho-references {quality.rho_references} and --features "
                f"{quality.features} no more than {best:.3f} can be reached; raise the second, or lower one of the "
                "others (--rho 1 is perfect knowledge)",
                key="--rho",
                reason="size",
            )
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if self._of(middle, pairs, rollouts)[0] < quality.rho else (low, middle)
        return high


def smoothed(function: Callable[[np.ndarray], np.ndarray], y_N: np.ndarray, spread: float) -> np.ndarray:
    """[N] means of a function of y + spread * z, z standard normal, by quadrature."""
    if spread == 0:
        return function(np.asarray(y_N, dtype=np.float64))
    weights = WEIGHTS / WEIGHTS.sum()
    found = np.zeros(len(y_N))
    for node, weight in zip(NODES, weights, strict=True):
        found += weight * function(y_N + spread * node)
    return found
