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


def test_several_groups_have_a_t_interval_of_their_pooled_variance_by_hand():
    assert interval([[0.0, 0.0, 0.0], [10.0, 10.0]]) == (5.0, 5.0)  # which differ between the groups alone
    # Squares 2 and 2 about the groups' means 2 and 3, of two degrees of freedom: variance 2, t 4.302653.
    half = 4.302653 * math.sqrt(2 * (1 / 2 + 1 / 2)) / 2
    assert interval([[1.0, 3.0], [2.0, 4.0]]) == pytest.approx((2.5 - half, 2.5 + half))
    # Groups count alike, whatever their sizes: squares 2 and 0, three degrees of freedom, variance 2/3, t 3.182446.
    half = 3.182446 * math.sqrt(2 / 3 * (1 / 3 + 1 / 2)) / 2
    assert interval([[0.0, 1.0, 2.0], [10.0, 10.0]]) == pytest.approx((5.5 - half, 5.5 + half))


def test_of_many_seeds_it_is_the_normal_interval():
    """Of two groups of 5,000 values of variance 1 the mean has a standard error of 1 / 100."""
    low, high = interval([[-1.0, 1.0] * 2500, [1.0, 3.0] * 2500])
    assert (low, high) == pytest.approx((1 - 0.0195996, 1 + 0.0195996), abs=1e-5)


@pytest.mark.parametrize("spreads", [(1, 1, 1, 1, 1, 1), (1, 1, 1, 2, 2, 2)])
def test_six_groups_of_three_hold_the_mean_in_95_of_100_cases(spreads):
    draws = np.random.default_rng(0).normal(size=(1500, 6, 3)) * np.array(spreads)[:, None]
    held = np.mean([low <= 0 <= high for low, high in (interval(draw.tolist()) for draw in draws)])
    assert 0.93 <= held <= 0.97  # 2 % are three standard errors and more


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
