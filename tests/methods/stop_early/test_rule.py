"""When the first rollouts of a question say enough."""

import itertools

import numpy as np
import pytest
from scipy.stats import beta

from verl_dots.methods.stop_early.rule import alike_probability, first_size, shares, unbiased_mean
from verl_dots.methods.stop_early.settings import StopEarlyConfig

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


def orders(size, first, stops, audit, rate):
    """Every order of `size` outcomes: (probability of what comes of it, rewards that are seen) by enumeration."""
    for outcome in itertools.product((0.0, 1.0), repeat=size):
        chance = np.prod([rate if right else 1 - rate for right in outcome])
        could_stop = len(set(outcome[:first])) == 1 and stops[int(outcome[0])]
        if could_stop:
            yield chance * (1 - audit), outcome[:first], True
        yield chance * (audit if could_stop else 1), outcome, False


@pytest.mark.parametrize("stops", [(False, True), (True, False), (True, True)])
@pytest.mark.parametrize("audit", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("rate", [0.15, 0.5, 0.9])
def test_over_all_groups_the_mean_reward_is_the_success_rate_whichever_stop(stops, audit, rate):
    found = naive = 0.0
    for chance, rewards, stopped in orders(6, 3, stops, audit, rate):
        if chance:
            own = float(np.mean(rewards))
            found += chance * (own if stopped else unbiased_mean(rewards, 3, stops, audit, (0, 1)))
            naive += chance * own
    assert found == pytest.approx(rate, rel=1e-12)
    # Three alike of three: what the rest could have moved is 1 - rate, or rate, of a half.
    too_far = (1 - audit) * (stops[1] * rate**3 * (1 - rate) - stops[0] * (1 - rate) ** 3 * rate) / 2
    assert naive - rate == pytest.approx(too_far, abs=1e-12)


def test_a_whole_group_stands_for_those_of_its_kind_that_stopped():
    # 5 of 8 right, 4 first: C(5, 4) / C(8, 4) = 1/14 of the orders would have stopped. (5/8 - 1/14) / (1 - 1/14)
    five = (1.0,) * 5 + (0.0,) * 3
    assert unbiased_mean(five, 4, (True, True), 0.0, (0, 1)) == pytest.approx(31 / 52)
    # Half of these are audited: (5/8 - 1/28) / (1 - 1/28)
    assert unbiased_mean(five, 4, (True, True), 0.5, (0, 1)) == pytest.approx(33 / 54)
    # 7 of 8 in -1..3: mean 2.5, C(7, 4) / C(8, 4) = 1/2. (2.5 - 3/2) / (1/2); of 7 wrong (-0.5 + 1/2) / (1/2)
    assert unbiased_mean((3.0,) * 7 + (-1.0,), 4, (True, True), 0.0, (-1, 3)) == pytest.approx(2.0)
    assert unbiased_mean((-1.0,) * 7 + (3.0,), 4, (True, True), 0.0, (-1, 3)) == pytest.approx(0.0)
    # Where nothing stops, or all is audited, it is the mean.
    for stops, audit in (((False, False), 0.0), ((True, True), 1.0)):
        assert unbiased_mean(five, 4, stops, audit, (0, 1)) == 5 / 8


def test_a_group_that_would_have_stopped_has_no_rest():
    assert unbiased_mean(RIGHT, 2, (True, True), 0.1, (0, 1)) == pytest.approx(1.0)  # it was audited
    with pytest.raises(ValueError, match="has no rest"):
        unbiased_mean(RIGHT, 2, (True, True), 0.0, (0, 1))
    with pytest.raises(ValueError, match="first rollouts are 5"):
        unbiased_mean(RIGHT, 5, (True, True), 0.1, (0, 1))


def test_what_stopping_saves_and_loses_of_a_success_rate():
    # p = 1/2, 4 of 8: 2/16 stop, of which 2/256 would not have been effective; 4 of 8 rollouts of each are saved.
    assert shares(0.5, 4, 8) == pytest.approx((1 / 8, 15 / 128, 127 / 128, 1 / 16))
    # p = 3/4, 1 of 2, the right ones alone: 3/4 stop, 3/4 - 9/16 wrongly; 1 - 9/16 - 1/16 are effective.
    assert shares(0.75, 1, 2, (False, True)) == pytest.approx((3 / 4, 3 / 16, 3 / 8, 3 / 8))
    found = shares(np.array([0.0, 0.5, 1.0]), 4, 8)
    assert found.stopped.tolist() == [1, 0.125, 1] and found.lost.tolist() == [0, 15 / 128, 0]


def test_what_it_saves_and_loses_of_evenly_spread_success_rates():
    # Beta(1, 1): f alike and right with 1 / (f + 1). 2/5 stop; 2 (1/5 - 1/9) wrongly; 1 - 2/9 are effective.
    found = [np.mean(share) for share in shares((np.arange(20_000) + 0.5) / 20_000, 4, 8)]
    assert found == pytest.approx([2 / 5, 8 / 45, 7 / 9, 1 / 5], rel=1e-6)


def test_the_false_stops_of_a_prediction_are_those_of_its_beta_distribution():
    middle = (np.arange(200_000) + 0.5) / 200_000
    for difficulty, strength in ((0.5, 1.0), (0.2, 4.0)):
        success = beta.ppf(middle, strength * (1 - difficulty), strength * difficulty)
        found = shares(success, 4, 8, (False, True))
        alike = alike_probability(RIGHT, 8, difficulty, strength, (0, 1))
        assert found.lost.mean() / found.stopped.mean() == pytest.approx(1 - alike, abs=1e-5)


def test_by_default_a_prediction_in_the_middle_stops_nothing_and_one_on_the_same_side_does():
    default = StopEarlyConfig()
    alike = {d: alike_probability(RIGHT, 8, d, default.strength, (0, 1)) for d in (0.1, 0.5, 0.9)}
    # 4 rollouts of rate 1/2, then 4 right: 6/8 * 7/9 * 8/10 * 9/11
    assert alike[0.5] == pytest.approx(0.38181818) and alike[0.5] < default.confidence
    assert alike[0.1] >= default.confidence > alike[0.9]
