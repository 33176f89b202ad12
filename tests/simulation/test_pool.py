import numpy as np
import pytest

from verl_dots.simulation.pool import Measured, fit_prior, latent


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.6), (2.0, 1.0)])
def test_the_distribution_of_success_rates_is_recovered(a, b):
    rng = np.random.default_rng(0)
    tries = np.full(20_000, 8.0)
    success = rng.binomial(8, rng.beta(a, b, 20_000)) / 8
    assert fit_prior(success, tries) == pytest.approx((a, b), rel=0.06)


def test_latent_difficulty_by_hand():
    # ln(3), 0, -ln(3); bounded at 12
    assert latent(np.array([0.25, 0.5, 0.75, 0.0, 1.0])) == pytest.approx([1.0986123, 0, -1.0986123, 12, -12], abs=1e-4)


def test_many_tries_leave_nothing_to_the_distribution():
    measured = Measured(np.array([0.25, 0.5]), np.array([1e9, 1e9]), (1.0, 1.0))
    difficulty, success = measured.difficulties(None, np.random.default_rng(0))
    assert difficulty == pytest.approx([1.0986123, 0], abs=1e-3) and success.tolist() == [0.25, 0.5]


def test_no_success_in_few_tries_is_not_no_success():
    """The mean of Beta(1, 9) is 0.1; the mean of 20,000 draws has a standard deviation of 0.0006."""
    measured = Measured(np.zeros(20_000), np.full(20_000, 8.0), (1.0, 1.0))
    difficulty, _ = measured.difficulties(None, np.random.default_rng(0))
    assert np.mean(1 / (1 + np.exp(difficulty))) == pytest.approx(0.1, abs=0.002)


def test_a_pool_of_another_size_is_drawn_with_replacement():
    measured = Measured(np.array([0.0, 1.0]), np.array([1e9, 1e9]), (1.0, 1.0))
    difficulty, success = measured.difficulties(1000, np.random.default_rng(0))
    assert len(difficulty) == 1000 and 400 < success.sum() < 600
    assert ((difficulty < 0) == (success == 1)).all()
