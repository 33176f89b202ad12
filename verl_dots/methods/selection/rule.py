"""DOTS: draw questions whose adaptive difficulty is near a target (arXiv 2506.05316, section 3).

P(question) ~ exp(-|d - alpha| / tau), drawn one after the other without replacement. Adding Gumbel noise to the
logarithms of the weights and taking the largest is the same draw in one pass over the questions.

By effectiveness, questions are drawn with P ~ exp(-(1 - e) / tau): the same rule, of e and the target 1.
"""

import numpy as np

MOST_EFFECTIVE = 1.0  # that target


def drawn_by(difficulty: np.ndarray, expected: np.ndarray | None, alpha: float) -> tuple[np.ndarray, float]:
    """What questions are drawn by, and its target: their difficulty, or the expected share of effective groups.

    By effectiveness this holds for references, too: their one outcome, 0 or 1, is no expected share.

    Args:
        difficulty: [N] of the questions, that of references measured.
        expected: [N] expected shares, where questions are drawn by these; else None.
        alpha: target difficulty.
    """
    return (difficulty, alpha) if expected is None else (np.array(expected, dtype=np.float64), MOST_EFFECTIVE)


def select(difficulty_P: np.ndarray, count: int, alpha: float, tau: float, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` distinct questions, those near `alpha` with the greatest probability.

    Args:
        difficulty_P: [P] adaptive difficulties (1 - mean reward), measured or predicted, finite; or shares of
            effective groups.
        count: how many to draw, 0..P.
        alpha: target difficulty.
        tau: temperature of the draw, 0 or more. 0 takes exactly the nearest; infinity draws uniformly.
        rng: draws the noise, decides between equally near questions, and shuffles the result.

    Returns:
        [count] positions in `difficulty_P`, in random order: each slice of them is a fair batch.

    Raises:
        ValueError: a difficulty is not finite, or `count` or `tau` is out of range.
    """
    difficulty_P = np.asarray(difficulty_P, dtype=np.float64)
    if difficulty_P.ndim != 1:
        raise ValueError(f"difficulties must be one row of numbers, got shape {difficulty_P.shape}")
    if not np.isfinite(difficulty_P).all():
        bad = np.flatnonzero(~np.isfinite(difficulty_P))
        raise ValueError(f"{len(bad)} difficulties are not finite, the first at position {bad[0]}")
    if not 0 <= count <= len(difficulty_P):
        raise ValueError(f"cannot draw {count} of {len(difficulty_P)} questions without replacement")
    if not tau >= 0 or np.isnan(alpha):
        raise ValueError(f"tau must be 0 or more and alpha a number, got tau={tau}, alpha={alpha}")
    if np.isinf(tau):
        return rng.permutation(len(difficulty_P))[:count]
    # tau * (log weight + noise): the same order, and still exact as tau falls to 0.
    score_P = -np.abs(difficulty_P - alpha)
    if tau > 0:
        score_P += tau * rng.gumbel(size=len(score_P))
    return rng.permutation(_largest(score_P, count, rng))


def _largest(score_P: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of the `count` largest scores; the generator chooses among those equal to the last one."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    last = np.partition(score_P, len(score_P) - count)[len(score_P) - count]
    above = np.flatnonzero(score_P > last)
    level = np.flatnonzero(score_P == last)
    return np.concatenate([above, rng.choice(level, count - len(above), replace=False)])
