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
        # Sums of equal rewards may differ in their last digits.
        _, level_K, size_L = np.unique(-reward_P[known_P].round(12), return_inverse=True, return_counts=True)
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


def allocate(rank_B: np.ndarray, n: int, least: int, most: int, remainder: str = "hardest") -> np.ndarray:
    """Integer rollouts [B] by rank: n * B in total, each of `least`..`most`.

    All get `least`. What remains is dealt out in proportion to the ranks, rounded down and never above `most`. What is
    left then fills the hardest question up to `most`, then the next, as published; or it is spread: dealt out in
    proportion again for as long as that gives anything, and at last one each by descending rank. Of equal ranks the
    earlier comes first.

    Args:
        rank_B: [B] above 0, greater is harder.
        n: rollouts of a question on average.
        least, most: of a question.
        remainder: "hardest" or "spread".

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
    order = np.argsort(-rank_B, kind="stable")
    rollouts_B = np.full(B, least, dtype=np.int64)
    rollouts_B += _in_proportion(rank_B, rollouts_B, n * B, most)
    if remainder == "hardest":
        room_B = most - rollouts_B[order]
        harder_B = np.cumsum(room_B) - room_B  # room of those before
        rollouts_B[order] += np.clip(n * B - rollouts_B.sum() - harder_B, 0, room_B)
        return rollouts_B
    while (remaining := n * B - int(rollouts_B.sum())) > 0:
        dealt_B = _in_proportion(rank_B, rollouts_B, n * B, most)
        if not dealt_B.any():
            dealt_B[[place for place in order if rollouts_B[place] < most][:remaining]] = 1
        rollouts_B += dealt_B
    return rollouts_B


def _in_proportion(rank_B: np.ndarray, rollouts_B: np.ndarray, total: int, most: int) -> np.ndarray:
    """[B] of what is missing to the total, in proportion to the ranks of those below `most`, rounded down."""
    weight_B = np.where(rollouts_B < most, rank_B, 0)
    if not weight_B.any():
        return np.zeros_like(rollouts_B)
    share_B = (total - rollouts_B.sum()) * weight_B / weight_B.sum()
    # The shares of equal ranks are whole numbers, from which rounding must not take one.
    return np.minimum(np.floor(share_B + 1e-9).astype(np.int64), most - rollouts_B)
