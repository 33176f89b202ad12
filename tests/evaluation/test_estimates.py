"""Measures against literals worked out by hand."""

import math

import pytest

from verl_dots.evaluation.estimates import Estimate, average, majority_is_right, mean_of, pass_at_k, sizes


@pytest.mark.parametrize(
    "rollouts, right, k, expected",
    [
        (4, 2, 2, 5 / 6),  # 1 - C(2,2)/C(4,2) = 1 - 1/6
        (4, 1, 2, 1 / 2),  # 1 - C(3,2)/C(4,2) = 1 - 3/6
        (8, 3, 4, 13 / 14),  # 1 - C(5,4)/C(8,4) = 1 - 5/70
        (16, 5, 8, 1 - 165 / 12870),  # 1 - C(11,8)/C(16,8)
        (4, 3, 2, 1.0),  # one wrong rollout cannot fill a draw of two
        (1, 1, 1, 1.0),
        (10_000, 1, 5_000, 0.5),  # one right among n: k/n. C(10000, 5000) has 3,009 digits: nothing overflows
    ],
)
def test_pass_at_k(rollouts, right, k, expected):
    assert pass_at_k(rollouts, right, k) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_pass_at_1_is_the_share_of_right_rollouts_and_pass_at_n_is_any():
    for right in range(17):
        assert pass_at_k(16, right, 1) == right / 16
        assert pass_at_k(16, right, 16) == float(right > 0)


@pytest.mark.parametrize("rollouts, right, k", [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_pass_at_k_refuses_what_cannot_be(rollouts, right, k):
    with pytest.raises(ValueError, match="must be from"):
        pass_at_k(rollouts, right, k)


def test_sizes_are_powers_of_two_and_all():
    assert [sizes(rollouts) for rollouts in (1, 2, 12)] == [(1,), (1, 2), (1, 2, 4, 8, 12)]
    assert sizes(16) == (1, 2, 4, 8, 16)


@pytest.mark.parametrize(
    "answers, right, expected",
    [
        (["7", "5", "5"], [True, False, False], False),  # 2 votes against 1
        (["5", "7", "6"], [False, True, False], False),  # 1 vote each: 5 was first
        (["7", "5", "6"], [True, False, False], True),  # 1 vote each: the right one was first
        (["1/2", "0.5", "3", "3"], [True, True, False, False], True),  # the right ones are one answer, however written
        (["3", "3", "1/2", "0.5"], [False, False, True, True], False),  # 2 each: 3 was first
        ([None, None, "7"], [False, False, True], True),  # no answer, no vote
        ([None, None], [False, False], False),  # nobody votes
        ([None], [True], True),  # right, though no answer could be read
    ],
)
def test_majority(answers, right, expected):
    assert majority_is_right(answers, right) is expected


def test_wrong_answers_that_are_equal_vote_together():
    answers, right = ["7", "7", "1/2", "0.5", "2/4"], [True, True, False, False, False]
    asked = []

    def same(one, other):
        asked.append((one, other))
        return {one, other} <= {"1/2", "0.5", "2/4"}

    assert majority_is_right(answers, right)
    assert not majority_is_right(answers, right, same)
    # Each with the first of the class, not with every one.
    assert asked == [("1/2", "0.5"), ("1/2", "2/4")]


@pytest.mark.parametrize(
    "answers, right",
    [
        (["7", "7", "7", "1/2", "0.5"], [True] * 3 + [False] * 2),  # 2 wrong ones cannot beat 3
        (["7", "7", "1/2", "0.5"], [True] * 2 + [False] * 2),  # nor 2 that came later
        (["3", "3", "7", "1/2"], [False, False, True, False]),  # lost already
        (["3", "1/2"], [False, False]),  # nothing right to win
    ],
)
def test_equality_is_not_asked_where_it_decides_nothing(answers, right):
    def same(one, other):
        raise AssertionError("asked")

    assert majority_is_right(answers, right, same) == majority_is_right(answers, right)


def test_answers_and_verdicts_must_pair():
    with pytest.raises(ValueError):
        majority_is_right(["1"], [True, False])


def test_mean_with_its_interval():
    # s^2 = 4 * 0.25 / 3 = 1/3; 1.959964 * sqrt(1/3) / 2 = 0.565793
    found = mean_of([1.0, 0.0, 1.0, 0.0])
    assert (found.value, found.half_width) == (0.5, pytest.approx(0.565793, rel=1e-5))
    # The binomial interval of 200 of 400: 1.959964 * sqrt(0.25 / 399) = 0.0490605
    assert mean_of([0.0, 1.0] * 200).half_width == pytest.approx(0.0490605, rel=1e-5)
    assert mean_of([1.0] * 5) == Estimate(1.0, 0.0)
    assert math.isnan(mean_of([1.0]).half_width)
    with pytest.raises(ValueError, match="no questions"):
        mean_of([])


def test_data_sets_count_alike_in_the_average():
    # (0.03^2 + 0.04^2)^0.5 / 2 = 0.025
    found = average([Estimate(0.2, 0.03), Estimate(0.6, 0.04)])
    assert found.value == pytest.approx(0.4, rel=1e-12)
    assert found.half_width == pytest.approx(0.025, rel=1e-12)
    assert math.isnan(average([Estimate(0.2, math.nan), Estimate(0.6, 0.04)]).half_width)
    assert average([Estimate(0.3, 0.1)]) == Estimate(0.3, 0.1)
    with pytest.raises(ValueError, match="no data sets"):
        average([])
