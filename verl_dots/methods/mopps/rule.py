"""MoPPS's posterior and choice (arXiv 2507.04632), BOTS's evidence by interpolation (arXiv 2510.26374).

A question's success rate has the posterior Beta(successes, failures). Its two counts, and the evidence that is added to
them, are the columns of arrays [P, 2].
"""

import numpy as np

from verl_dots.methods.nearest import nearest

# References that lie nearer together tell too little of where the policy is.
LEAST_GAP = 0.01


def evidence(success_N: np.ndarray, rollouts_N: np.ndarray) -> np.ndarray:
    """[N, 2] successes and failures in the rollouts of some questions: s and k - s, with s = success * k.

    Args:
        success_N: mean reward of each question, 0 at the least possible and 1 at the greatest.
        rollouts_N: k, rollouts of each.

    Raises:
        ValueError: rows of different lengths, a success rate outside [0, 1], or a question without rollouts.
    """
    success_N, rollouts_N = np.asarray(success_N, dtype=np.float64), np.asarray(rollouts_N, dtype=np.float64)
    _require_shape("numbers of rollouts", rollouts_N, (len(success_N),))
    if not ((success_N >= 0) & (success_N <= 1)).all():
        raise ValueError(f"success rates must be in [0, 1], got {success_N.tolist()}")
    if not (rollouts_N >= 1).all():
        raise ValueError(f"a question that was rolled out has 1 rollout or more, got {rollouts_N.tolist()}")
    return np.stack([success_N, 1 - success_N], axis=1) * rollouts_N[:, None]


def posterior(counts_P2: np.ndarray, evidence_P2: np.ndarray, prior: tuple[float, float], memory: float) -> np.ndarray:
    """[P, 2] counts' = memory * counts + (1 - memory) * prior + evidence.

    MoPPS's recursive update with temporal discounting, lambda = memory; in BOTS's generalized update lambda is
    1 - memory.

    Args:
        counts_P2: successes and failures so far.
        evidence_P2: new ones.
        prior: counts of a question of which nothing is known.
        memory: share of the counts that stays, in [0, 1].

    Raises:
        ValueError: shapes that do not match.
    """
    _require_shape("counts", counts_P2, (len(counts_P2), 2))
    _require_shape("evidence", evidence_P2, np.shape(counts_P2))
    return memory * counts_P2 + (1 - memory) * np.asarray(prior, dtype=np.float64) + evidence_P2


def mean_success(counts_P2: np.ndarray) -> np.ndarray:
    """[P] mean of the posterior, successes / (successes + failures)."""
    return counts_P2[:, 0] / counts_P2.sum(axis=1)


def thompson(counts_P2: np.ndarray, target: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """[count] positions whose difficulty, drawn from the posterior, is nearest to the target, the nearest first.

    gamma ~ Beta(successes, failures), difficulty 1 - gamma: MoPPS's Top-B of -(gamma - gamma*)^2, and BOTS's utility
    -|p - p*|, which orders them alike.

    Args:
        counts_P2: successes and failures of the candidates.
        target: difficulty, 1 - gamma*.
        rng: draws the success rates.

    Raises:
        ValueError: fewer candidates than `count`.
    """
    _require_shape("counts", counts_P2, (len(counts_P2), 2))
    return nearest(1 - rng.beta(counts_P2[:, 0], counts_P2[:, 1]), target, count, rng)


def capability(success_N: np.ndarray, reference_N2: np.ndarray) -> float | None:
    """Where the policy stands between two reference models, 0 at the weaker and 1 at the stronger (BOTS).

    mu = (mean success - mean weaker) / (mean stronger - mean weaker), below 0 and above 1 beyond them.

    Args:
        success_N: success rates of the policy on some questions.
        reference_N2: those of the weaker and the stronger model on the same.

    Returns:
        None where the stronger model is not ahead by LEAST_GAP on these questions.

    Raises:
        ValueError: shapes that do not match, or no questions.
    """
    _require_shape("reference success rates", reference_N2, (len(success_N), 2))
    if not len(success_N):
        raise ValueError("no questions to compare with the reference models")
    weaker, stronger = reference_N2.mean(axis=0)
    return float((success_N.mean() - weaker) / (stronger - weaker)) if stronger - weaker >= LEAST_GAP else None


def interpolated(reference_P2: np.ndarray, mu: float) -> np.ndarray:
    """[P] success rates at a capability mu: clip(mu * stronger + (1 - mu) * weaker, 0, 1) (BOTS)."""
    _require_shape("reference success rates", reference_P2, (len(reference_P2), 2))
    return np.clip(reference_P2 @ np.array([1 - mu, mu]), 0, 1)


def fused(evidence_P2: np.ndarray, estimate_P: np.ndarray, rollouts: float, implicit: float) -> np.ndarray:
    """[P, 2] (1 - rho) * measured + rho * implicit, the evidence of BOTS's generalized update.

    The implicit counts of a question are the measured ones where there are any, else `rollouts` at the estimated rate.
    A measured question hence keeps its counts, and every other one gets rho * rollouts.

    Args:
        evidence_P2: measured successes and failures, 0 for questions without rollouts.
        estimate_P: success rates, see `interpolated`.
        rollouts: that an estimate stands for.
        implicit: rho, in [0, 1].

    Raises:
        ValueError: shapes that do not match.
    """
    _require_shape("evidence", evidence_P2, (len(estimate_P), 2))
    estimated_P2 = rollouts * np.stack([estimate_P, 1 - estimate_P], axis=1)
    implicit_P2 = np.where(evidence_P2.sum(axis=1, keepdims=True) > 0, evidence_P2, estimated_P2)
    return (1 - implicit) * evidence_P2 + implicit * implicit_P2


def _require_shape(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise ValueError(f"{what} have shape {np.shape(array)}; it must be {shape}")
