"""The questions or groups that are nearest to a target difficulty."""

import numpy as np


def nearest(
    difficulty_P: np.ndarray, target: float, count: int, rng: np.random.Generator, candidate_P: np.ndarray | None = None
) -> np.ndarray:
    """[count] positions of the difficulties nearest to the target, equally near ones drawn by the generator.

    Args:
        candidate_P: [P] bool, those that may be chosen; None for all.

    Raises:
        ValueError: fewer candidates than `count`.
    """
    candidates = np.arange(len(difficulty_P)) if candidate_P is None else np.flatnonzero(candidate_P)
    if count > len(candidates):
        raise ValueError(f"cannot choose {count} of {len(candidates)} questions")
    distance = np.abs(np.asarray(difficulty_P, dtype=np.float64)[candidates] - target)
    return candidates[np.lexsort((rng.permutation(len(candidates)), distance))[:count]]
