"""Which groups a step trains on (dynamic sampling, arXiv 2503.14476, section 3.2)."""

from collections.abc import Sequence

import numpy as np

from verl_dots.step import difficulty, effective

ROUNDING = 1e-6  # of a success rate: 1 of 5 is within [0.2, 0.8]


def stays(
    rewards_G: Sequence[float] | np.ndarray, within: tuple[float, float] | None, reward_range: tuple[float, float]
) -> bool:
    """Whether a group is trained on; with rewards of 0 and 1 and no band this is the paper's 0 < right answers < G.

    Args:
        rewards_G: [G] rewards of all rollouts of a question.
        within: least and greatest success rate, both of which stay; None for every group whose rewards differ.
        reward_range: least and greatest reward, of success rate 0 and 1.

    Raises:
        ValueError: no rewards, or their mean is outside of the range.
    """
    if within is None:
        return effective(rewards_G)
    success_rate = 1 - difficulty(float(np.mean(rewards_G)), reward_range)
    return within[0] - ROUNDING <= success_rate <= within[1] + ROUNDING
