"""AdaRFT: a target difficulty that follows the reward, and the questions nearest to it (arXiv 2504.05520, section 3).

Difficulties are static, in any range, and greater is harder.
"""

import math

import numpy as np

from verl_dots.methods.nearest import nearest


def next_target(
    target: float, reward: float, *, eta: float, sensitivity: float, beta: float, low: float, high: float
) -> float:
    """T' = clip(T + eta * tanh(sensitivity * (reward - beta)), low, high).

    Args:
        target: T, in the unit of the difficulties.
        reward: mean reward of the step's rollouts.
        eta: greatest step of the target, in the same unit.
        sensitivity: alpha in the paper, how sharply the step grows with the reward's distance from `beta`.
        beta: reward at which the target stays.
        low, high: bounds of the target.

    Raises:
        ValueError: the reward is not finite.
    """
    if not math.isfinite(reward):
        raise ValueError(f"the mean reward of a step is {reward}; it must be finite to move the target difficulty")
    return min(max(target + eta * math.tanh(sensitivity * (reward - beta)), low), high)


def nearest_unused(
    difficulty_P: np.ndarray, target: float, count: int, used_P: np.ndarray, width: float, rng: np.random.Generator
) -> np.ndarray:
    """As `nearest`, but no question again before all within `width` of the target have had their turn.

    Args:
        used_P: [P] bool, questions that have had it; updated in place. Where fewer than `count` unused ones lie in the
            neighbourhood, those are taken, the neighbourhood begins anew, and the nearest of it fill up.

    Raises:
        ValueError: fewer questions than `count`.
    """
    near_P = np.abs(np.asarray(difficulty_P, dtype=np.float64) - target) <= width
    chosen = nearest(difficulty_P, target, min(count, int((near_P & ~used_P).sum())), rng, near_P & ~used_P)
    if len(chosen) == count:
        used_P[chosen] = True
        return chosen
    # What was left of the neighbourhood ends its old turns, and has its new one still before it.
    used_P[near_P] = False
    rest_P = ~used_P
    rest_P[chosen] = False
    if rest_P.sum() < count - len(chosen):  # nearly all of the others have had their turn too
        used_P[:] = False
        rest_P[:] = True
        rest_P[chosen] = False
    anew = nearest(difficulty_P, target, count - len(chosen), rng, rest_P)
    used_P[anew] = True
    return np.concatenate([chosen, anew])
