"""The arithmetic behind the design note on drafts."""

import numpy as np
import pytest

from scripts.draft_savings import Seen, reused, seen_by_selection, seen_in_epochs


def test_a_response_is_reused_up_to_its_first_rejected_token():
    # Of 2 tokens the first stays with 3/4, both with 9/16.
    assert reused(2, 0.25) == pytest.approx((0.75 + 0.5625) / 2)
    assert reused(1, 0.25) == 0.75 and reused(5, 1.0) == 0
    # 0.99 + ... + 0.99^25 over 25
    assert reused(25, 0.01) == pytest.approx(sum(0.99**i for i in range(1, 26)) / 25)
    for length, rejection in ((0, 0.1), (5, 0.0), (5, 1.1)):
        with pytest.raises(ValueError, match="tokens and a rejection of"):
            reused(length, rejection)


def test_what_epochs_bring_again():
    # 100 rollouts of 20 questions: 80 are not the first. 5 steps of 2 are half an epoch: 0.5^2 / 2 of the gaps.
    assert seen_in_epochs(20, 2, 50, 5) == pytest.approx(Seen(0.8, 0.8 * 0.125))
    # 15 steps are 1.5 epochs: 1 - 0.5^2 / 2
    assert seen_in_epochs(20, 2, 50, 15) == pytest.approx(Seen(0.8, 0.8 * 0.875))
    assert seen_in_epochs(20, 2, 50, 40) == pytest.approx(Seen(0.8, 0.8))
    assert seen_in_epochs(200, 2, 50, 5) == Seen(0, 0)


def test_epochs_are_what_shuffled_data_show():
    """400 questions, 8 a step, 500 steps: 9,600 visits that are not first, a deviation of 0.5 % of them at most."""
    rng = np.random.default_rng(1)
    order = np.concatenate([rng.permutation(400) for _ in range(10)])
    step = np.arange(4000) // 8
    last, gaps = {}, []
    for question, now in zip(order.tolist(), step.tolist(), strict=True):
        gaps.append(now - last.get(question, -np.inf))
        last[question] = now
    expected = seen_in_epochs(400, 8, 500, 30)
    assert np.isfinite(gaps).mean() == pytest.approx(expected.ever)
    assert (np.array(gaps) <= 30).mean() == pytest.approx(expected.recently, abs=0.025)  # steps are not continuous


def test_a_narrow_selection_comes_back_sooner_than_a_wide_one():
    narrow, wide = (seen_by_selection(4000, 64, 40, 10, tau) for tau in (1e-3, 1e9))
    assert narrow.ever > wide.ever + 0.1 and narrow.recently > 2 * wide.recently
    # Drawn uniformly, two batches of 64 at a time: a question of 4,000 was in none of t rounds with (1 - 0.032)^t.
    expected = 1 - np.mean([(1 - 0.032) ** (step // 2) for step in range(40)])
    assert wide.ever == pytest.approx(expected, abs=0.03)
