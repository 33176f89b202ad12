"""E3: rollouts for each question of a batch, more for the hard ones (arXiv 2505.18573, section 3)."""

import numpy as np


def ranks(reward_P: np.ndarray) -> np.ndarray:
    """[P] ranks in (0, 1) by descending mean reward: greater is harder, equal rewards share their mean rank.

    Args:
        reward_P: cumulative mean reward of each question; NaN for one that was never rolled out, which gets 0.5.
    """
    reward_P = np.asarray(reward_P, dtype=np.float64)
    rank_P = np.full(len(reward_P), 0.5)
    known_P = ~np.isnan(reward_P)
    if known_P.any():
        _, level_K, size_L = np.unique(-reward_P[known_P], return_inverse=True, return_counts=True)
        middle_L = np.cumsum(size_L) - size_L / 2  # of the places that equal rewards share
        rank_P[known_P] = middle_L[level_K] / known_P.sum()
    return rank_P


def caps(epoch: int, n: int, widest: tuple[int, int], step: int | None = 2) -> tuple[int, int]:
    """(least, most) rollouts of a question in an epoch, counted from 0: n for all at first, then wider by `step`.

    The paper's (8, 8), (6, 10), (4, 12) is n = 8, widest (4, 12). Without a step they are the widest at once.
    """
    if step is None:
        return widest
    return max(widest[0], n - step * epoch), min(widest[1], n + step * epoch)


def allocate(rank_B: np.ndarray, n: int, least: int, most: int) -> np.ndarray:
    """Integer rollouts [B] by rank: n * B in total, each of `least`..`most`.

    All get `least`; what remains is dealt out in proportion to the ranks, rounded down and never above `most`, for as
    long as that gives anything, and at last one each by descending rank. Of equal ranks the earlier comes first.

    Raises:
        ValueError: the caps do not allow n * B, or a rank is not above 0.
    """
    rank_B = np.asarray(rank_B, dtype=np.float64)
    B = len(rank_B)
    if not 0 <= least <= n <= most:
        raise ValueError(
            f"n * B = {n * B} rollouts are outside what {least} to {most} rollouts a question allow "
            f"({least * B} to {most * B})"
        )
    if not (np.isfinite(rank_B) & (rank_B > 0)).all():
        raise ValueError(f"ranks must be above 0 and finite, got {rank_B}")
    rollouts_B = np.full(B, least, dtype=np.int64)
    order = np.argsort(-rank_B, kind="stable")
    while (remaining := n * B - int(rollouts_B.sum())) > 0:
        open_B = rollouts_B < most
        share_B = np.floor(remaining * np.where(open_B, rank_B, 0) / rank_B[open_B].sum()).astype(np.int64)
        dealt_B = np.minimum(share_B, most - rollouts_B)
        if not dealt_B.any():
            dealt_B[[place for place in order if open_B[place]][:remaining]] = 1
        rollouts_B += dealt_B
    return rollouts_B
