import math

import numpy as np
import pytest

from verl_dots.methods.mopps.rule import (
    capability,
    evidence,
    fused,
    interpolated,
    mean_success,
    posterior,
    thompson,
)

PRIOR = (1.0, 1.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_rollouts_are_successes_and_failures_and_a_graded_reward_counts_in_part():
    counts = np.array([[6, 2], [4, 0], [1.2, 6.8]])  # 6 of 8; all of 4; mean reward 0.15 of 8 rollouts
    assert evidence(np.array([0.75, 1.0, 0.15]), np.array([8, 4, 8])) == pytest.approx(counts)
    with pytest.raises(ValueError, match=r"success rates must be in \[0, 1\], got \[1.5\]"):
        evidence(np.array([1.5]), np.array([8]))
    with pytest.raises(ValueError, match=r"1 rollout or more, got \[0.0\]"):
        evidence(np.array([0.5]), np.array([0]))
    with pytest.raises(ValueError, match=r"numbers of rollouts have shape \(1,\); it must be \(2,\)"):
        evidence(np.array([0.5, 0.5]), np.array([8]))


def test_the_posterior_remembers_a_share_and_returns_to_the_prior():
    counts, new = np.array([[7.0, 3.0], [1.0, 1.0]]), np.array([[6.0, 2.0], [0.0, 8.0]])
    assert posterior(counts, new, PRIOR, 1.0).tolist() == [[13, 5], [1, 9]]  # counts alone
    assert posterior(counts, new, PRIOR, 0.5).tolist() == [[10, 4], [1, 9]]  # 3.5 + 0.5 + 6, 1.5 + 0.5 + 2
    assert posterior(counts, new, (2.0, 4.0), 0.0).tolist() == [[8, 6], [2, 12]]  # the prior and the last step
    assert mean_success(np.array([[10.0, 4.0], [1.0, 9.0]])) == pytest.approx([10 / 14, 0.1])
    with pytest.raises(ValueError, match=r"evidence have shape \(1, 2\); it must be \(2, 2\)"):
        posterior(counts, new[:1], PRIOR, 1.0)


def test_with_much_evidence_the_choice_is_of_the_nearest_means():
    counts = 1e9 * np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.55, 0.45], [0.3, 0.7]])  # difficulty 1 - mean
    assert thompson(counts, 0.5, 2, rng()).tolist() == [1, 3]
    assert thompson(counts, 0.78, 3, rng()).tolist() == [2, 4, 1]  # 0.8, 0.7, 0.5
    with pytest.raises(ValueError, match="cannot choose 6 of 5 questions"):
        thompson(counts, 0.5, 6, rng())


def test_without_evidence_the_choice_is_uniform():
    counts = np.bincount([int(thompson(np.ones((4, 2)), 0.9, 1, rng(i))[0]) for i in range(800)], minlength=4)
    assert (np.abs(counts - 200) < 5 * math.sqrt(800 * 0.25 * 0.75)).all()  # 5 standard deviations


def test_a_question_is_chosen_as_often_as_its_posterior_says():
    """One uncertain question and one that is known to lie 0.1 off: chosen when its draw is within 0.1, with P = 0.2."""
    counts = np.array([[1.0, 1.0], [4e9, 6e9]])
    often = sum(int(thompson(counts, 0.5, 1, rng(i))[0] == 0) for i in range(2000))
    assert abs(often - 400) < 5 * math.sqrt(2000 * 0.2 * 0.8)


def test_the_policy_stands_between_the_reference_models_or_beyond_them():
    reference = np.array([[0.2, 0.6], [0.4, 0.8]])  # means 0.3 and 0.7
    for success, expected in ((0.3, 0.0), (0.5, 0.5), (0.7, 1.0), (0.9, 1.5), (0.1, -0.5)):
        assert capability(np.array([success - 0.1, success + 0.1]), reference) == pytest.approx(expected)
    assert capability(np.array([0.5, 0.5]), reference[:, ::-1]) is None
    assert capability(np.array([0.5]), np.array([[0.5, 0.505]])) is None


def test_success_rates_are_interpolated_within_0_and_1():
    reference = np.array([[0.2, 0.6], [0.5, 0.9], [0.4, 0.1]])
    assert interpolated(reference, 0.25) == pytest.approx([0.3, 0.6, 0.325])
    assert interpolated(reference, 1.5) == pytest.approx([0.8, 1.0, 0.0])  # 0.8, 1.1, -0.05


def test_what_is_not_measured_gets_a_share_of_what_is_interpolated():
    measured, estimate = np.array([[6.0, 2.0], [0.0, 0.0]]), np.array([0.1, 0.75])
    assert fused(measured, estimate, 8, 0.1) == pytest.approx(np.array([[6, 2], [0.6, 0.2]]))  # 0.1 * 8 * (0.75, 0.25)
    assert fused(measured, estimate, 8, 0.0).tolist() == measured.tolist()  # MoPPS's evidence
    assert fused(measured, estimate, 8, 1.0).tolist() == [[6, 2], [6, 2]]
