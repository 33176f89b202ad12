import numpy as np
import pytest

from verl_dots.methods.selection.rule import select


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("alpha", "count", "nearest"), [(0.5, 3, [1, 2, 3]), (1.0, 2, [1, 4])])
def test_tau_zero_takes_exactly_the_nearest(alpha, count, nearest):
    # distances from 0.5: .4 .1 .0 .2 .45; from 1: .9 .4 .5 .7 .05
    assert sorted(select(np.array([0.1, 0.6, 0.5, 0.3, 0.95]), count, alpha, 0.0, rng())) == nearest


@pytest.mark.parametrize(
    ("difficulty", "count", "tau", "shares"),
    [
        ([0.4, 0.6, 0.4, 0.6, 0.0], 1, 0.0, [0.25, 0.25, 0.25, 0.25, 0]),
        ([0.5, 0.6, 0.3], 1, 0.1, [0.6652, 0.2447, 0.0900]),  # weights exp(-0), exp(-1), exp(-2)
        ([0.5, 1.0, 0.0], 1, np.inf, [1 / 3, 1 / 3, 1 / 3]),
        ([0.5, 0.51, 0.52, 0.53, 0.9], 4, 0.0, [0.25, 0.25, 0.25, 0.25, 0]),
    ],
    ids=["ties are broken fairly", "nearer ones more often", "all alike", "in random order, so that slices are alike"],
)
def test_how_often_each_question_is_drawn_first(difficulty, count, tau, shares):
    """Within 3 standard deviations of 8,000 draws, whose seed is fixed."""
    generator, share = rng(1), np.array(shares)
    first = [select(np.array(difficulty), count, 0.5, tau, generator)[0] for _ in range(8000)]
    found = np.bincount(first, minlength=len(share)) / 8000
    assert (np.abs(found - share) <= 3 * np.sqrt(share * (1 - share) / 8000)).all()


def test_draws_without_replacement():
    # Two of three: the pair (a, b) has probability w_a w_b (1/(1 - w_a) + 1/(1 - w_b)); for weights .6652 .2447 .0900
    # {0, 1}: .16278 * (2.98686 + 1.32398) = 0.7017
    generator = rng(3)
    difficulty = np.array([0.5, 0.6, 0.3])
    hits = sum(set(select(difficulty, 2, 0.5, 0.1, generator)) == {0, 1} for _ in range(8000))
    assert abs(hits / 8000 - 0.7017) < 3 * np.sqrt(0.7017 * 0.2983 / 8000)


def test_a_tiny_tau_is_top_k():
    difficulty = rng(5).random(1000)
    nearest = set(np.argsort(np.abs(difficulty - 0.5))[:50])
    assert set(select(difficulty, 50, 0.5, 1e-300, rng())) == nearest


def test_the_seed_decides_and_all_questions_can_be_drawn():
    difficulty = rng(6).random(100)
    first, again, other = (select(difficulty, 20, 0.5, 0.05, rng(seed)) for seed in (7, 7, 8))
    assert first.tolist() == again.tolist() != other.tolist()
    assert sorted(select(difficulty, 100, 0.5, 0.05, rng())) == list(range(100))
    assert len(select(difficulty, 0, 0.5, 0.05, rng())) == 0


@pytest.mark.parametrize(
    ("difficulty", "count", "tau", "words"),
    [
        ([0.5, np.nan], 1, 0.1, "1 difficulties are not finite, the first at position 1"),
        ([0.5], 2, 0.1, "cannot draw 2 of 1 questions"),
        ([0.5], -1, 0.1, "cannot draw -1"),
        ([0.5], 1, -0.1, "tau must be 0 or more"),
        ([0.5], 1, np.nan, "tau must be 0 or more"),
        ([[0.5]], 1, 0.1, "one row of numbers"),
    ],
)
def test_bad_input(difficulty, count, tau, words):
    with pytest.raises(ValueError, match=words):
        select(np.array(difficulty), count, 0.5, tau, rng())
