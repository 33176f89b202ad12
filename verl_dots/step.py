"""What makes a group of rollouts worth training on."""

from collections.abc import Sequence

import numpy as np


def effective(rewards_G: Sequence[float] | np.ndarray) -> bool:
    """Whether the rewards of a group differ: with equal ones every advantage is 0, whatever the rewards are.

    With rewards of 0 and 1 this is 0 < mean reward < 1, as arXiv 2506.05316 has it. Eight rewards of 0.5 have that
    mean, too, and teach nothing.

    Args:
        rewards_G: [G] rewards of all rollouts of a question.

    Raises:
        ValueError: no rewards.
    """
    rewards_G = np.asarray(rewards_G, dtype=np.float64)
    if not rewards_G.size:
        raise ValueError("a group without rollouts is neither effective nor not; give one reward or more")
    return bool(rewards_G.max() > rewards_G.min())
