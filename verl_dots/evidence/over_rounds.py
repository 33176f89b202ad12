"""The noise of a time of a step: intervals from pairs of timing runs. Pure functions.

A pair is a method's run and the baseline's, of one combination and round; it gives one ratio. Combinations have few
rounds, mostly one. So all ratios of a method count as measurements with the same spread, that around their mean. It
holds the differences between combinations, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import t

from verl_dots.evidence import over_seeds
from verl_dots.evidence.over_seeds import LEVEL


def half_width(groups: Sequence[Sequence[float]], weights: Sequence[float] | None = None) -> float:
    """Half of the 95 % t interval of the weighted sum of the groups' means.

    Args:
        groups: ratios of each combination's rounds; all of them tell the spread.
        weights: of the groups; by default alike, so that the sum is the mean of the groups' means.

    Returns:
        nan for a single ratio, or where a group has none.
    """
    ratios = [ratio for group in groups for ratio in group]
    if len(ratios) < 2 or not all(groups):
        return math.nan
    weights = [1 / len(groups)] * len(groups) if weights is None else weights
    share = math.sqrt(sum(weight**2 / len(group) for weight, group in zip(weights, groups, strict=True)))
    return float(t.ppf((1 + LEVEL) / 2, len(ratios) - 1)) * over_seeds.std(ratios) * share


def widened(mean: float, ends: tuple[float, float], half: float) -> tuple[float, float]:
    """The interval of a mean that has two independent sources of noise.

    The distances of the ends from the mean add up like standard deviations: as the root of the sum of their squares.

    Args:
        ends: the interval of the one source alone.
        half: half of the width of the other's.
    """
    low, high = ends
    return mean - math.hypot(mean - low, half), mean + math.hypot(high - mean, half)
