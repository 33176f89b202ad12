"""When the first rollouts of a question say enough.

The success rate of a question of predicted difficulty d is taken as Beta(s (1 - d), s d): its mean is the prediction,
and s, the strength, says how many rollouts the prediction counts as. After f first rollouts, all right, each further
one is right with (s (1 - d) + rollouts so far) / (s + rollouts so far); the product over the rest is the probability
that the whole group is right, and thus teaches nothing. For wrong rollouts d takes the place of 1 - d.
"""

import math
from collections.abc import Sequence

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
