import numpy as np
import pytest
from scipy.special import expit

from tests.refusals import refused
from verl_dots.difficulty.agreement import pearson
from verl_dots.simulation.prediction import Predictor, Quality, smoothed
from verl_dots.simulation.response import Learning, Policy


def made(quality, questions=8000, seed=0):
    rng = np.random.default_rng(seed)
    policy = Policy(rng.normal(0.5, 2.5, questions), Learning(), rng)
    return policy, Predictor(policy, quality, 8, rng)


def rho(policy, predictor, references, rounds=20):
    true = expit(policy.difficulty_P.astype(float))
    found = []
    for _ in range(rounds):
        predictor.renew(references)
        found.append(pearson(predictor.difficulty(predictor.argument()), true))
    return float(np.mean(found))


@pytest.mark.parametrize("wanted", [0.4, 0.75])
def test_the_correlation_that_was_asked_for_is_reached(wanted):
    assert rho(*made(Quality(wanted)), 256) == pytest.approx(wanted, abs=0.03)


def test_more_references_predict_better_and_features_bound_it():
    policy, predictor = made(Quality(0.7, 256, 20))
    few, many, most, boundless = (rho(policy, predictor, k) for k in (16, 64, 256, 1e9))
    assert few < many - 0.03 and many < most - 0.01 and most < boundless < most + 0.06


def test_a_correlation_of_one_is_the_truth():
    policy, predictor = made(Quality(1.0))
    predictor.renew(2)
    true = expit(policy.difficulty_P.astype(float))
    assert predictor.difficulty(predictor.argument()) == pytest.approx(true, abs=1e-4)


def test_predictions_follow_the_ability():
    policy, predictor = made(Quality(1.0))
    policy.train(np.arange(100), np.full(100, 0.2), np.full(100, 8))
    true = expit(policy.difficulty_P.astype(float) - policy.mean_ability)
    assert predictor.difficulty(predictor.argument()) == pytest.approx(true, abs=1e-4)


def test_predictions_are_means_of_what_is_unknown():
    """Of all questions predicted between 0.2 and 0.3 the mean difficulty is there, too."""
    policy, predictor = made(Quality(0.7, 10**9))
    predictor.renew(1e9)
    predicted, true = predictor.difficulty(predictor.argument()), expit(policy.difficulty_P.astype(float))
    chosen = (predicted > 0.2) & (predicted < 0.3)
    assert chosen.sum() > 300 and true[chosen].mean() == pytest.approx(predicted[chosen].mean(), abs=0.04)


def test_a_mean_over_a_normal_distribution():
    # E (y + s z)^2 = y^2 + s^2
    assert smoothed(np.square, np.array([0.0, 3.0]), 2.0) == pytest.approx([4.0, 13.0])
    assert smoothed(np.square, np.array([3.0]), 0.0) == pytest.approx([9.0])


def test_beyond_the_interval_nothing_is_within_the_radius():
    _, predictor = made(Quality(0.7))
    for by_effectiveness, target, radius in ((False, 0.5, 0.1), (False, 0.0, 0.05), (True, 1.0, 0.3)):
        value = predictor.effectiveness if by_effectiveness else predictor.difficulty
        low, high = predictor.interval(by_effectiveness, target, radius)
        outside = np.array([y for y in (low - 0.02, high + 0.02, low - 3, high + 3) if np.isfinite(y)])
        assert len(outside) and (np.abs(value(outside) - target) > radius).all()
        assert np.abs(value(np.array([np.clip(low + 0.02, -20, 20)])) - target) <= radius + 1e-3


def test_what_so_few_references_cannot_tell_is_refused():
    with refused("--rho", "size"):
        made(Quality(0.99, 4, 50))
    with refused("--rho", "range"):
        Quality(1.2)
