import numpy as np
import pytest

from tests.refusals import refused
from verl_dots.simulation.response import Entropy, Learning, Policy


def policy(difficulty, seed=0, **learning):
    return Policy(np.array(difficulty), Learning(**learning), np.random.default_rng(seed))


def test_a_temperature_divides_the_logits():
    # logistic(2), logistic(1)
    assert policy([-2.0]).success(np.array([0])) == pytest.approx([0.88079708], rel=1e-6)
    assert policy([-2.0]).success(np.array([0]), temperature=2.0) == pytest.approx([0.73105858], rel=1e-6)


def test_the_mean_signal_is_that_of_theorem_1():
    """p (1 - p) (1 - 1/G) = 0.25 * 7/8; r (1 - r) of 20,000 groups of 8 has a standard deviation below 0.07."""
    one = policy([0.0] * 20_000)
    r = one.roll_out(np.arange(20_000), np.full(20_000, 8), 1.0) / 8
    assert np.mean(r * (1 - r)) == pytest.approx(0.21875, abs=3 * 0.07 / np.sqrt(20_000))


def test_the_ability_rises_by_the_signal_and_never_above_the_ceiling():
    # 1 + 0.4 * 0.5 * (1 - 1 / 2)
    assert Learning(rate=0.4, ceiling=2.0).raised(1.0, 0.5) == pytest.approx(1.1)
    one = policy([0.0, 5.0], rate=2.0, ceiling=1.5)
    for _ in range(200):
        one.train(np.array([0]), np.array([0.2]), np.array([8]))
    assert one.ability(np.array([5.0])) == pytest.approx(1.5, rel=1e-4)


def test_a_signal_is_a_mean_over_rollouts_not_over_groups():
    one = policy([0.0, 0.0], rate=1.0, ceiling=1e9)
    one.train(np.array([0, 1]), np.array([0.2, 0.0]), np.array([4, 12]))
    assert one.mean_ability == pytest.approx(0.2 * 4 / 16, rel=1e-6)


def test_what_is_learnt_locally_helps_questions_of_like_difficulty_alone():
    one = policy([-4.0, -3.0, 6.0], rate=1.0, ceiling=1e9, local=1.0, width=1.0)
    one.train(np.array([0]), np.array([0.2]), np.array([8]))
    # exp(-0 / 2), exp(-1 / 2), exp(-100 / 2)
    assert one.ability(np.array([-4.0, -3.0, 6.0])) == pytest.approx([0.2, 0.2 * 0.60653066, 0.0], abs=1e-6)
    half = policy([-4.0, 6.0], rate=1.0, ceiling=1e9, local=0.5, width=1.0)
    half.train(np.array([0]), np.array([0.2]), np.array([8]))
    assert half.ability(np.array([-4.0, 6.0])) == pytest.approx([0.2, 0.1], abs=1e-6)


def test_entropy_falls_with_the_ability_and_rises_with_the_temperature():
    # 0.5 * exp(-0.2 * 2) * 2^2
    assert Entropy(0.5, 0.2, 2.0).at(2.0, 2.0) == pytest.approx(1.34064009)


@pytest.mark.parametrize(("name", "value"), [("rate", 0), ("ceiling", -1.0), ("width", 0), ("local", 1.5)])
def test_impossible_learning_is_refused(name, value):
    with refused(f"--{name}", "range"):
        Learning(**{name: value})
