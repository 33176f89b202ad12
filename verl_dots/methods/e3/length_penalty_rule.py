"""E3's length penalty: shorter right responses to the easiest questions (arXiv 2505.18573)."""

import numpy as np


def easiest(reward_P: np.ndarray, share: float) -> np.ndarray:
    """[P] bool, the share of the questions with the highest mean reward, to the question.

    Many have the same mean, that of all right: of equal ones the first in the data are taken, as published.

    Args:
        reward_P: cumulative mean reward of each question; NaN for one that was never rolled out, which never counts.
        share: in (0, 1] of those that were, rounded down.

    Raises:
        ValueError: a share out of its range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: must be above 0 and at most 1")
    reward_P = np.asarray(reward_P, dtype=np.float64)
    count = int(share * (~np.isnan(reward_P)).sum() + 1e-9)
    easy_P = np.zeros(len(reward_P), dtype=bool)
    easy_P[np.argsort(-reward_P, kind="stable")[:count]] = True  # NaN comes last
    return easy_P


def penalised(reward_N: np.ndarray, length_N: np.ndarray, strength: float, low: float, high: float) -> np.ndarray:
    """[N] rewards, those of right responses less the share b = s l / (1 + s l) of the range that they are above `low`.

    Args:
        reward_N: [N]; a response is right if its reward is `high`.
        length_N: [N] tokens l.
        strength: s, per token, above 0.
        low, high: least and greatest reward.
    """
    reward_N, scaled_N = np.asarray(reward_N, dtype=np.float64), strength * np.asarray(length_N, dtype=np.float64)
    right_N = reward_N >= high - 1e-6 * (high - low)
    return reward_N - right_N * (high - low) * scaled_N / (1 + scaled_N)
