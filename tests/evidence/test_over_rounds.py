"""Intervals of times of a step, by hand."""

import math

import pytest

from verl_dots.evidence.over_rounds import half_width, widened

# The 97.5 % points of Student's t with 1, 2 and 4 degrees of freedom.
T_1, T_2, T_4 = 12.706205, 4.302653, 2.776445


@pytest.mark.parametrize(
    ("groups", "weights", "half"),
    [
        ([[0.8], [1.0]], None, T_1 * 0.1),  # deviation 0.1 sqrt(2), over sqrt(2)
        ([[0.8, 1.0]], None, T_1 * 0.1),  # two rounds of one combination
        ([[1.0, 2.0], [3.0]], None, T_2 * math.sqrt(3 / 8)),  # 1/4 of a half, and 1/4
        ([[1.0, 2.0], [3.0]], (0.2, 0.5), T_2 * math.sqrt(0.27)),  # 0.04 / 2 + 0.25
        # A round on five combinations: squares 0.011664, 0.005184, 0.004624, 0.029584 and 0.004624.
        ([[0.80], [0.98], [0.84], [1.08], [0.84]], None, T_4 * math.sqrt(0.05568 / 4 / 5)),
        ([[1.0], [1.0]], None, 0.0),
    ],
)
def test_half_of_a_t_interval(groups, weights, half):
    assert half_width(groups, weights) == pytest.approx(half, rel=1e-6)


@pytest.mark.parametrize("groups", [[[0.8]], [], [[0.8, 0.9], []]])
def test_one_ratio_or_a_group_of_none_tells_no_spread(groups):
    assert math.isnan(half_width(groups))


def test_two_sources_add_up_as_squares():
    assert widened(0.5, (0.2, 0.9), 0.4) == pytest.approx((0.0, 0.5 + 0.4 * math.sqrt(2)))
    assert widened(0.5, (0.5, 0.5), 0.4) == pytest.approx((0.1, 0.9))
    assert widened(0.5, (0.2, 0.9), 0.0) == pytest.approx((0.2, 0.9))
    assert all(map(math.isnan, widened(0.5, (0.2, 0.9), math.nan)))
    assert all(map(math.isnan, widened(0.5, (math.nan, math.nan), 0.1)))
