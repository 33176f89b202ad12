import math

import numpy as np
import pytest

from verl_dots.evidence import over_seeds
from verl_dots.evidence.over_seeds import interval, mean, std


def test_three_seeds_have_their_range_as_interval():
    assert interval([[0.5, -1.0, 2.0]]) == (-1.0, 2.0)
    assert interval([[0.1, 0.1, 0.1]]) == (0.1, 0.1)
    assert interval([[1.0, 3.0]]) == (1.0, 3.0)  # of 4 resamples one is the least twice


def test_five_seeds_by_hand():
    # 0, 0, 0, 0, 1: the sum of a resample is binomial of 5 at 1/5. P(0) = 0.328, P(<= 2) = 0.942, P(<= 3) = 0.993.
    assert interval([[0.0, 0.0, 0.0, 0.0, 1.0]]) == pytest.approx((0.0, 0.6))


def test_more_seeds_are_resampled_at_random_and_always_alike(monkeypatch):
    values = np.random.default_rng(3).normal(size=5).tolist()
    exact = interval([values])
    monkeypatch.setattr(over_seeds, "MOST_EXACT", 4)
    drawn = interval([values])
    assert drawn == interval([values])
    assert drawn == pytest.approx(exact, abs=0.05)


def test_groups_count_alike_and_are_resampled_by_themselves():
    # Means of the groups vary apart: 0 or 1 or between, and 10 fixed.
    assert interval([[0.0, 0.0, 0.0], [10.0, 10.0]]) == (5.0, 5.0)
    low, high = interval([[0.0, 1.0, 2.0], [10.0, 10.0]])
    # A resample's mean of the first is 0 in 1 of 27 cases: more than 2.5 %.
    assert (low, high) == (5.0, 6.0)


def test_one_value_has_no_spread():
    for groups in ([[1.0]], [[1.0, 2.0], [3.0]], []):
        assert all(math.isnan(end) for end in interval(groups))
    assert mean([2.0]) == 2.0 and math.isnan(std([2.0])) and math.isnan(mean([]))
    assert mean([1.0, 2.0, 6.0]) == 3.0 and std([1.0, 2.0, 6.0]) == pytest.approx(math.sqrt(7))
    assert math.isnan(mean([1.0, math.nan])) and math.isnan(std([1.0, math.nan]))


def test_the_range_of_three_holds_the_mean_in_three_of_four_cases():
    """As the docstring says: 4000 draws have a standard error of 0.7 %; 3.5 % are five of these."""
    draws = np.random.default_rng(0).normal(size=(4000, 3))
    held = np.mean([(low <= 0 <= high) for low, high in (interval([draw.tolist()]) for draw in draws)])
    assert held == pytest.approx(0.75, abs=0.035)
