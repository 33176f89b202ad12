"""Latent difficulties of questions, out of measured success rates.

A success rate of some tries is not the question's: 0 of 8 may be 1 in 10 or 1 in a million. The success rates of the
pool are taken as draws of Beta(a, b), fitted by maximum likelihood to all counts (a beta-binomial). Each seed then
draws a question's success rate from its posterior Beta(a + successes, b + failures).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln

from verl_dots.simulation.response import MOST

LEAST_RATE = float(1 / (1 + np.exp(MOST)))


@dataclass(frozen=True)
class Measured:
    """Success rates of a pool's questions as they were measured.

    Attributes:
        success_P: [P] success rate in [0, 1].
        tries_P: [P] rollouts behind each.
        prior: (a, b) of the Beta distribution of the success rates, see `fit_prior`.
    """

    success_P: np.ndarray
    tries_P: np.ndarray
    prior: tuple[float, float]

    def difficulties(self, questions: int | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """([P] latent difficulties drawn from the posteriors, [P] measured success rates).

        Args:
            questions: how many; drawn from the pool with replacement, each with a draw of its own. None takes each
                question once.
        """
        place = slice(None) if questions is None else rng.integers(len(self.success_P), size=questions)
        success_P, tries_P = self.success_P[place], self.tries_P[place]
        a, b = self.prior
        rate_P = rng.beta(a + success_P * tries_P, b + (1 - success_P) * tries_P)
        return latent(rate_P), success_P


def latent(rate_P: np.ndarray) -> np.ndarray:
    """[P] difficulty in logits at ability 0 of a success rate: -logit, bounded."""
    rate_P = np.clip(rate_P, LEAST_RATE, 1 - LEAST_RATE)
    return np.log1p(-rate_P) - np.log(rate_P)


def fit_prior(success_P: np.ndarray, tries_P: np.ndarray) -> tuple[float, float]:
    """(a, b) of the beta-binomial that makes the counts most likely.

    Args:
        success_P: [P] success rates in [0, 1]; with partial rewards a count need not be whole.
        tries_P: [P] rollouts behind each.
    """
    pairs_U2, count_U = np.unique(np.stack([success_P * tries_P, tries_P], axis=1), axis=0, return_counts=True)
    right_U, tries_U = pairs_U2.T

    def surprise(logs: np.ndarray) -> float:
        a, b = np.exp(logs)
        return -float(count_U @ (betaln(a + right_U, b + tries_U - right_U) - betaln(a, b)))

    # Bounded: of one question, or of many alike, the likelihood has no greatest value.
    bounds = [(np.log(0.02), np.log(200.0))] * 2
    found = minimize(surprise, np.zeros(2), method="L-BFGS-B", bounds=bounds)
    a, b = np.exp(found.x)
    return float(a), float(b)
