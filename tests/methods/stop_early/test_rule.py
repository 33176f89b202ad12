"""When the first rollouts of a question say enough."""

import numpy as np
import pytest

from verl_dots.methods.stop_early.rule import alike_probability, first_size

RIGHT, WRONG = (1.0,) * 4, (0.0,) * 4


@pytest.mark.parametrize(
    ("size", "share", "first"),
    [(8, 0.5, 4), (7, 0.5, 4), (8, 0.1, 2), (2, 0.5, 2), (1, 0.5, 1), (3, 0.5, 2), (10, 0.3, 3), (8, 0.9, 8)],
)
def test_the_first_rollouts_are_a_share_and_two_or_more(size, share, first):
    assert first_size(size, share) == first


def test_the_prediction_counts_as_so_many_rollouts():
    # Beta(1/2, 1/2) after four right rollouts: 4.5 / 5, 5.5 / 6, 6.5 / 7, 7.5 / 8.
    assert alike_probability(RIGHT, 8, 0.5, 1.0, (0, 1)) == pytest.approx(4.5 * 5.5 * 6.5 * 7.5 / (5 * 6 * 7 * 8))
    # Beta(1, 1): Laplace's rule of succession, 5/6 * 6/7 * 7/8 * 8/9.
    assert alike_probability(WRONG, 8, 0.5, 2.0, (0, 1)) == pytest.approx(5 / 9)


def test_a_prediction_that_agrees_makes_it_likely_and_one_that_contradicts_unlikely():
    easy, hard = (alike_probability(RIGHT, 8, difficulty, 2.0, (0, 1)) for difficulty in (0.05, 0.95))
    assert easy > 0.9 > 0.4 > hard
    assert alike_probability(WRONG, 8, 0.95, 2.0, (0, 1)) == pytest.approx(easy)
    # Without doubt about the success rate it is that rate to the power of what is left.
    assert alike_probability(RIGHT, 8, 0.2, 1e9, (0, 1)) == pytest.approx(0.8**4)


@pytest.mark.parametrize("first", [(0.0, 1.0), (0.5, 0.5)])
def test_rewards_that_differ_or_are_neither_end_stop_nothing(first):
    assert alike_probability(first, 4, 0.5, 1.0, (0, 1)) == 0


def test_the_ends_are_those_of_the_range():
    assert alike_probability((-1.0, -1.0), 3, 1.0, 1.0, (-1, 1)) == 1
    assert alike_probability((0.0, 0.0), 3, 1.0, 1.0, (-1, 1)) == 0
    rounded = float(np.float32(0.9))  # below 0.9
    assert alike_probability((rounded, rounded), 3, 0.0, 1.0, (0, 0.9)) == 1


def test_it_is_how_often_a_group_turns_out_alike():
    rng = np.random.default_rng(1)
    rate_R = rng.beta(1.2 * 0.6, 1.2 * 0.4, 200_000)
    first_R, rest_R = rng.binomial(4, rate_R), rng.binomial(4, rate_R)
    found = (rest_R == 4)[first_R == 4].mean()
    assert alike_probability(RIGHT, 8, 0.4, 1.2, (0, 1)) == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize(("first", "size"), [((), 4), (RIGHT, 3)])
def test_impossible_groups_are_refused(first, size):
    with pytest.raises(ValueError, match="first rollouts of a group"):
        alike_probability(first, size, 0.5, 1.0, (0, 1))
