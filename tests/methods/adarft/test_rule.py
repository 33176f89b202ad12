import math

import numpy as np
import pytest

from verl_dots.methods.adarft.rule import nearest_unused, next_target
from verl_dots.methods.nearest import nearest

PAPER = {"eta": 50.0, "sensitivity": 2.0, "beta": 0.5, "low": 0.0, "high": 100.0}


def rng():
    return np.random.default_rng(0)


def test_the_target_follows_the_reward():
    assert next_target(20, 0.5, **PAPER) == 20
    assert next_target(20, 0.75, **PAPER) == pytest.approx(20 + 50 * math.tanh(0.5))  # 43.1
    assert next_target(60, 0.25, **PAPER) == pytest.approx(60 - 50 * math.tanh(0.5))
    assert next_target(20, 0.0, **PAPER) == 0 and next_target(90, 1.0, **PAPER) == 100
    with pytest.raises(ValueError, match="nan"):
        next_target(20, float("nan"), **PAPER)


def test_the_nearest_questions_and_who_may_be_chosen():
    difficulty = np.array([10.0, 30, 50, 70, 52, 90])
    assert sorted(nearest(difficulty, 51, 2, rng())) == [2, 4]
    assert sorted(nearest(difficulty, 51, 2, rng(), np.array([1, 1, 0, 1, 1, 1], bool))) == [3, 4]
    with pytest.raises(ValueError, match="cannot choose 7 of 6 questions"):
        nearest(difficulty, 51, 7, rng())


def test_equally_near_questions_are_drawn_alike():
    counts = np.bincount([int(nearest(np.full(4, 5.0), 7, 1, np.random.default_rng(i))[0]) for i in range(800)])
    assert (np.abs(counts - 200) < 5 * math.sqrt(800 * 0.25 * 0.75)).all()


def test_no_question_comes_again_before_its_neighbourhood_is_exhausted():
    difficulty, used, generator = np.arange(20.0), np.zeros(20, dtype=bool), rng()
    # Within 3 of 10 lie 7..13.
    batches = [nearest_unused(difficulty, 10, 3, used, 3.0, generator).tolist() for _ in range(3)]
    assert sorted(batches[0]) == [9, 10, 11] and sorted(batches[1]) == [7, 8, 12] or sorted(batches[1]) == [8, 12, 13]
    seen = batches[0] + batches[1]
    assert len(set(seen)) == 6 and set(seen) < set(range(7, 14))
    # One is left; then the neighbourhood begins anew with the nearest.
    assert set(batches[2]) - set(seen) == set(range(7, 14)) - set(seen)
    assert 10 in batches[2] and len(set(batches[2])) == 3
    # Elsewhere nothing has been used.
    assert sorted(nearest_unused(difficulty, 2, 3, used, 3.0, generator)) == [1, 2, 3]


def test_over_many_rounds_all_of_a_neighbourhood_have_as_many_turns():
    difficulty, used, generator = np.arange(20.0), np.zeros(20, dtype=bool), rng()
    turns = np.zeros(20, dtype=int)
    for _ in range(700):  # 300 for each of the 7
        turns[nearest_unused(difficulty, 10, 3, used, 3.0, generator)] += 1
    assert turns.sum() == 2100 and (np.abs(turns[7:14] - 300) <= 1).all()


def test_all_of_the_data_can_be_a_batch():
    used = np.array([True, True, False, True])
    assert sorted(nearest_unused(np.array([0.0, 1, 50, 99]), 0, 4, used, 2.0, rng())) == [0, 1, 2, 3]
    assert used.all()
