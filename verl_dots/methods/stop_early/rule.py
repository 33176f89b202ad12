"""When the first rollouts of a question say enough.

The success rate of a question of predicted difficulty d is taken as Beta(s (1 - d), s d): its mean is the prediction,
and s, the strength, says how many rollouts the prediction counts as. After f first rollouts, all right, each further
one is right with (s (1 - d) + rollouts so far) / (s + rollouts so far); the product over the rest is the probability
that the whole group is right, and thus teaches nothing. For wrong rollouts d takes the place of 1 - d.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEAST_FIRST = 2  # one rollout is always like itself
ROUNDING = 1e-6  # of the rewards' range: engines give rewards in float32


def first_size(size: int, share: float) -> int:
    """Rollouts that a group of `size` begins with: a share of them, two or more, at most all."""
    return min(size, max(LEAST_FIRST, math.ceil(share * size - 1e-9)))


def alike_probability(
    first_F: Sequence[float] | np.ndarray,
    size: int,
    difficulty: float,
    strength: float,
    reward_range: tuple[float, float],
) -> float:
    """Probability that a group's other rollouts all have the reward of the first; 0 where those differ already.

    Args:
        first_F: [F] rewards of the first rollouts.
        size: of the whole group, F or more.
        difficulty: predicted, in [0, 1].
        strength: rollouts that the prediction counts as, above 0.
        reward_range: least and greatest reward; first rewards between the two give 0, however equal they are.

    Raises:
        ValueError: no rollouts, or more than the group has.
    """
    if not 1 <= len(first_F) <= size:
        raise ValueError(f"{len(first_F)} first rollouts of a group of {size}; give 1 to {size}")
    low, high = reward_range
    rounding = ROUNDING * (high - low)
    if min(first_F) >= high - rounding:
        expected = 1 - difficulty
    elif max(first_F) <= low + rounding:
        expected = difficulty
    else:
        return 0.0
    so_far = np.arange(len(first_F), size)
    return float(np.prod((strength * expected + so_far) / (strength + so_far)))


def unbiased_mean(
    reward_G: Sequence[float] | np.ndarray,
    first: int,
    stops: tuple[bool, bool],
    audit: float,
    reward_range: tuple[float, float],
) -> float:
    """Mean reward of a whole group, corrected for the groups of its kind that have stopped.

    A group that stops shows a mean at an end, where its rest could have moved it inwards; so means over groups would
    be too far out. The reward of a first rollout has no such bias, nor has its expectation over all orders in which
    this group's rewards could have come. Orders that begin with `first` rollouts at an end that stops count for the
    audited share alone:

        (mean - sum of end * w) / (1 - sum of w),    w = (1 - audit) C(count at the end, first) / C(size, first).

    With groups that stop at their own mean, this is the unbiased estimate of a sequential plan with the least variance
    (Girshick, Mosteller and Savage, 1946).

    Args:
        reward_G: [G] rewards of all rollouts, in any order.
        first: rollouts that came first.
        stops: whether first rollouts that are all of the least, or all of the greatest, reward stop such a group.
        audit: share of the stopping groups that are rolled out in whole.
        reward_range: least and greatest reward.

    Raises:
        ValueError: fewer rewards than first rollouts, or a group that would have stopped.
    """
    reward_G = np.asarray(reward_G, dtype=np.float64)
    low, high = reward_range
    rounding = ROUNDING * (high - low)
    at_ends = reward_G <= low + rounding, reward_G >= high - rounding
    if len(reward_G) < first:
        raise ValueError(f"{len(reward_G)} rewards of a group whose first rollouts are {first}")
    mean, weight = float(reward_G.mean()), 1.0
    for end, there_G, stop in zip((low, high), at_ends, stops, strict=True):
        if stop:
            share = (1 - audit) * math.comb(int(there_G.sum()), first) / math.comb(len(reward_G), first)
            mean, weight = mean - share * end, weight - share
    if weight <= 0:
        raise ValueError("all rewards are at an end that stops, and nothing is audited: this group has no rest")
    return mean / weight


class Shares(NamedTuple):
    """What stopping all groups whose first rollouts are alike does, as shares of the groups; numbers or arrays.

    Attributes:
        stopped: that get no rest.
        lost: that stop though they would have been effective. lost / stopped is the share of false stops.
        effective: that are effective if none stops.
        saved: rollouts that are not needed, as a share of all.
    """

    stopped: float | np.ndarray
    lost: float | np.ndarray
    effective: float | np.ndarray
    saved: float | np.ndarray


def shares(success, first: int, size: int, stops=(True, True)) -> Shares:
    """The shares of groups of a known success rate.

    Args:
        success: [...] success rates p; first rollouts are all right with p^first, whole groups with p^size.
        first, size: rollouts that come first, and in all.
        stops: [2][...] whether first rollouts that are all wrong, or all right, stop a group.
    """
    success = np.asarray(success, dtype=np.float64)
    first_2, all_2 = ([(1 - success) ** rollouts, success**rollouts] for rollouts in (first, size))
    stopped = sum(stop * begun for stop, begun in zip(stops, first_2, strict=True))
    lost = sum(stop * (begun - whole) for stop, begun, whole in zip(stops, first_2, all_2, strict=True))
    return Shares(stopped, lost, 1 - sum(all_2), stopped * (size - first) / size)
