import numpy as np
import pytest

from verl_dots.methods.dash.filter_rule import kept, reduce_mini_batches

ADVANTAGE = np.array([0.0, -0.1, 0.1, 0.5, -0.7, 0.05])


@pytest.mark.parametrize(
    ("threshold", "kind", "stay"),
    [
        (0.1, "absolute", [3, 4]),
        (0.0, "absolute", [1, 2, 3, 4, 5]),
        # A quantile takes its share and never more, of |advantage| 0, 0.1, 0.1, 0.5, 0.7, 0.05: floor(0.5 * 6) = 3 rows
        # leave, one of the two of 0.1 among them; floor(0.34 * 6) = 2.
        (0.5, "quantile", [2, 3, 4]),
        (0.34, "quantile", [1, 2, 3, 4]),
        (0.0, "quantile", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_rows_that_stay(threshold, kind, stay):
    assert np.flatnonzero(kept(ADVANTAGE, threshold, kind)).tolist() == stay


def test_a_quantile_is_the_share_that_leaves_however_many_rows_are_equal():
    # 0.29 * 100 is a little less than 29 in binary.
    assert (~kept(np.arange(100), 0.29, "quantile")).sum() == 29
    # Groups of a GRPO batch: half of the advantages are 0. A tenth of 40 rows leaves, not the 20 zeros.
    advantage_N = np.repeat([0.0, 1.0], 20)
    assert (~kept(advantage_N, 0.1, "quantile")).sum() == 4
    assert (~kept(np.zeros(8), 0.25, "quantile")).sum() == 2
    assert (~kept(np.zeros(8), 0.99, "quantile")).sum() == 7


def test_ties_are_drawn_by_the_generator():
    drawn = [tuple(kept(np.zeros(8), 0.5, "quantile", np.random.default_rng(seed))) for seed in range(20)]
    assert len(set(drawn)) > 10 and {sum(one) for one in drawn} == {4}
    assert drawn[3] == tuple(kept(np.zeros(8), 0.5, "quantile", np.random.default_rng(3)))
    # Smaller ones leave first, whatever is drawn.
    drawn = kept(ADVANTAGE, 0.34, "quantile", np.random.default_rng(9))
    assert drawn.tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    "threshold, kind, words",
    [(-0.1, "absolute", "threshold=-0.1"), (1.0, "quantile", "below 1 as a quantile"), (0.1, "relative", "one of")],
)
def test_thresholds_out_of_range(threshold, kind, words):
    with pytest.raises(ValueError, match=words):
        kept(ADVANTAGE, threshold, kind)
    with pytest.raises(ValueError, match="1 advantages are not finite"):
        kept(np.array([0.1, np.nan]), 0.1)


def test_mini_batches_stay_equal_by_the_shortest_of_those_that_leave():
    kept_N = np.array([True, True, False, False, True, False, False, False])
    length_N = np.array([5, 5, 5, 5, 5, 9, 3, 4])
    found = reduce_mini_batches(kept_N, length_N, np.ones(8, int), ranks=1, mini_batches=2)
    assert found.places.tolist() == [0, 1, 4, 6] and found.fillers.tolist() == [False, False, False, True]
    assert found.tokens.tolist() == [4] * 4 and found.rows == 2
    # Whole micro-batches of 3 rows.
    whole = reduce_mini_batches(kept_N, length_N, np.ones(8, int), 1, 2, multiple=3)
    assert whole.places.tolist() == [0, 1, 2, 4, 6, 7]


def test_a_mini_batch_is_that_of_all_ranks():
    # Rank 0 has rows 0..3, rank 1 rows 4..7, each cut into two mini-batches of 2.
    kept_N = np.array([True, False, False, False, False, False, False, False])
    found = reduce_mini_batches(kept_N, np.arange(8), np.array([1, 2, 4, 8, 16, 32, 64, 128]), ranks=2, mini_batches=2)
    # The second has nothing left on either rank and keeps the shortest as fillers; in the first, rank 1 has a filler.
    assert found.places.tolist() == [0, 2, 4, 6] and found.fillers.tolist() == [False, True, True, True]
    assert found.tokens.tolist() == [51, 4 + 8 + 64 + 128, 51, 204] and found.rows == 1


def test_nothing_left_and_everything_left():
    nothing = reduce_mini_batches(np.zeros(4, bool), np.array([2, 1, 1, 2]), np.ones(4), 1, 2)
    assert nothing.places.tolist() == [1, 2] and nothing.fillers.all() and nothing.tokens.tolist() == [2, 2]
    # Whole micro-batches of 2 rows.
    assert len(reduce_mini_batches(np.zeros(8, bool), np.ones(8), np.ones(8), 1, 2, multiple=2).places) == 4
    whole = reduce_mini_batches(np.ones(8, bool), np.ones(8), np.ones(8, int), 2, 2)
    assert whole.places.tolist() == list(range(8)) and not whole.fillers.any()
    with pytest.raises(ValueError, match="7 rows"):
        reduce_mini_batches(np.ones(7, bool), np.ones(7), np.ones(7), 1, 2)
