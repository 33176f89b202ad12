"""Figures of simulated runs over seeds."""

import math

import numpy as np
import pytest

from verl_dots.simulation.intervals import interval, over_seeds


def test_an_interval_by_hand():
    """Of 1, 2, 3: deviation 1, Student's t of 2 degrees at 97.5 % is 4.30265, over sqrt(3)."""
    found = interval([1.0, float("nan"), 2.0, 3.0])
    assert (found.mean, found.deviation, found.count) == (2, 1, 3)
    assert (found.low, found.high) == (pytest.approx(2 - 2.484138), pytest.approx(2 + 2.484138))
    assert np.isnan(interval([1.0]).low) and interval([float("nan")]).count == 0


def test_figures_of_the_way_to_a_target_need_all_seeds_and_others_those_that_have_them():
    rows = [{"age": 2.0, "steps to 50 %": 4.0}, {"age": math.nan, "steps to 50 %": math.nan}, {"age": 4.0}]
    found = over_seeds(rows, ["age", "steps to 50 %"])
    assert (found["age"].mean, found["age"].count, found["age"].seeds) == (3.0, 2, 3)
    assert np.isnan(found["steps to 50 %"].mean) and (found["steps to 50 %"].count, found["steps to 50 %"].seeds) == (
        1,
        3,
    )
