import numpy as np
import pytest

from verl_dots.methods.e3.length_penalty_rule import easiest, penalised


def test_the_easiest_are_those_with_the_highest_mean_reward():
    assert easiest(np.array([0.1, 0.9, 0.5, 0.7]), 0.5).tolist() == [False, True, False, True]
    assert easiest(np.array([0.1, 0.9, 0.5, 0.7]), 0.25).tolist() == [False, True, False, False]
    assert easiest(np.array([0.1, 0.9, 0.5, 0.7]), 1).all()
    assert not easiest(np.array([0.1, 0.9, 0.5, 0.7]), 0.2).any()  # less than one question


def test_of_equal_means_the_first_are_taken_and_unseen_questions_never_count():
    assert easiest(np.array([0, 1, 1, 1.0]), 0.5).tolist() == [False, True, True, False]
    # 0.29 * 100 is 28.999999999999996.
    assert easiest(np.ones(100), 0.29).sum() == 29 and easiest(np.ones(99), 0.1).sum() == 9
    assert easiest(np.array([np.nan, 0.2, np.nan, 0.1]), 0.5).tolist() == [False, True, False, False]
    assert not easiest(np.full(3, np.nan), 1).any()
    with pytest.raises(ValueError, match="share=0"):
        easiest(np.ones(2), 0)


def test_right_responses_lose_by_their_length_and_wrong_ones_nothing():
    # s l = 1 takes a half, s l = 3 three quarters.
    found = penalised(np.array([1.0, 1.0, 0.0, 0.5]), np.array([10, 30, 30, 30]), 0.1, 0, 1)
    assert found.tolist() == [0.5, 0.25, 0.0, 0.5]
    assert penalised(np.array([1.0, -1.0]), np.array([10, 10]), 0.1, -1, 1).tolist() == [0.0, -1.0]
    assert penalised(np.array([1.0]), np.array([0]), 0.1, 0, 1).tolist() == [1.0]


def test_longer_is_always_worse_but_never_as_bad_as_wrong():
    found = penalised(np.ones(100), np.arange(1, 101) * 100, 0.001, 0, 1)
    assert (np.diff(found) < 0).all() and (found > 0).all()
