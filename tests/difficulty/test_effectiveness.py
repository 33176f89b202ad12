import numpy as np
import pytest
import torch

from verl_dots.difficulty.effectiveness import LOG_SPREAD, expected_effectiveness, log_spread
from verl_dots.step import effective_share


def test_one_try_differs_from_nothing():
    with pytest.raises(ValueError, match="1 tries a group"):
        expected_effectiveness(torch.tensor([0.5]), torch.tensor([0.0]), 1)


def test_expected_effectiveness_by_hand():
    # s = 2, d = 1/2 is uniform: E p^3 = 1/4 both ways.
    found = expected_effectiveness(torch.tensor([0.5]), torch.tensor([2.0]).log(), 3)
    torch.testing.assert_close(found, torch.tensor([0.5]))
    # s = 1, d = .2, 2 tries: E p^2 = .8 * 1.8 / 2, E (1 - p)^2 = .2 * 1.2 / 2
    found = expected_effectiveness(torch.tensor([0.2]), torch.tensor([0.0]), 2)
    torch.testing.assert_close(found, torch.tensor([1 - 0.72 - 0.12]))


def test_a_great_spread_parameter_is_a_known_rate_and_a_small_one_always_or_never():
    difficulty = torch.linspace(0, 1, 11, dtype=torch.float64)
    known = expected_effectiveness(difficulty, torch.full_like(difficulty, 18.0), 8)
    assert known.numpy() == pytest.approx(effective_share(difficulty.numpy(), 8), abs=1e-6)
    assert expected_effectiveness(difficulty, torch.full_like(difficulty, -18.0), 8).numpy() == pytest.approx(
        0, abs=1e-6
    )


def test_it_is_the_mean_over_the_beta_distribution():
    # 20,000 draws: the standard error of a mean of numbers in [0, 1] is at most .0036
    p = np.random.default_rng(0).beta(3 * 0.7, 3 * 0.3, 20_000)
    found = expected_effectiveness(torch.tensor([0.3]), torch.tensor([3.0]).log(), 8)
    assert found.item() == pytest.approx(effective_share(1 - p, 8).mean(), abs=0.011)


def test_log_spread_finds_the_one_that_gives_the_effectiveness():
    difficulty, spread = torch.tensor([0.1, 0.5, 0.9, 0.6]), torch.tensor([-2.0, 0.0, 3.0, 1.5])
    back = log_spread(difficulty, expected_effectiveness(difficulty, spread, 8), 8)
    torch.testing.assert_close(back, spread, atol=2e-3, rtol=0)
    # Beyond what any spread gives: the ends.
    ends = log_spread(torch.tensor([0.5, 0.5]), torch.tensor([-0.1, 1.2]), 8)
    assert ends.tolist() == pytest.approx(LOG_SPREAD, abs=1e-4)
