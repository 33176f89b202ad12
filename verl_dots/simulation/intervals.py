"""Figures of simulated runs over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

# Begin figures of the way to a target: a mean of the seeds that come there would favour what fails more often.
TO_TARGET = ("steps to ", "rollouts to ", "steps saved to ", "rollouts saved to ")
AT_MOST = "at most "  # begins those of a saving in which a seed that never comes there counts, too


@dataclass(frozen=True)
class Interval:
    """Mean and standard deviation over seeds, and bounds of the mean's 95 % interval.

    Attributes:
        count: how many seeds have a value.
        seeds: of how many.
    """

    mean: float
    deviation: float
    low: float
    high: float
    count: int
    seeds: int


def over_seeds(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, Interval]:
    """Each figure over seeds. Of the way to a target there is a mean only where all seeds come there.

    Args:
        rows: `figures` of each seed; those that one lacks are nan.
    """
    found = {name: interval([row.get(name, math.nan) for row in rows]) for name in names}
    for name, one in found.items():
        if name.removeprefix(AT_MOST).startswith(TO_TARGET) and one.count < one.seeds:
            found[name] = Interval(math.nan, math.nan, math.nan, math.nan, one.count, one.seeds)
    return found


def interval(values: Sequence[float]) -> Interval:
    """Mean and Student's 95 % interval of the values that are there; of one the bounds are nan."""
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return Interval(np.nan, np.nan, np.nan, np.nan, 0, len(values))
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(mean, np.nan, np.nan, np.nan, 1, len(values))
    deviation = float(known.std(ddof=1))
    reach = float(student.ppf(0.975, len(known) - 1)) * deviation / math.sqrt(len(known))
    return Interval(mean, deviation, mean - reach, mean + reach, len(known), len(values))
