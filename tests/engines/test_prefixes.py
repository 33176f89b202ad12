"""Trees of rows: by hand, and for random rows what each token sees, place by place."""

import numpy as np
import pytest

from verl_dots.engines.prefixes import Costs, shared

CHEAP_PAIRS = Costs(token=1000, pair=1)


def rows_of(*rows: list[int]) -> list[np.ndarray]:
    return [np.array(row, dtype=np.int64) for row in rows]


def test_two_responses_of_a_prompt_share_it():
    layout = shared(rows_of([5, 6, 7], [5, 6, 8, 9]), CHEAP_PAIRS)
    assert layout.ids.tolist() == [[5, 6, 7, 8, 9]]
    assert layout.positions.tolist() == [[0, 1, 2, 2, 3]]
    assert layout.places.tolist() == [0, 1, 2, 0, 1, 3, 4]
    assert layout.mask[0].astype(int).tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [1, 1, 0, 1, 1],
    ]


def test_a_row_that_another_begins_with_adds_nothing():
    layout = shared(rows_of([1, 2, 3], [1, 2], [1, 2, 3]), CHEAP_PAIRS)
    assert layout.ids.tolist() == [[1, 2, 3]]
    assert layout.places.tolist() == [0, 1, 2, 0, 1, 0, 1, 2]


def test_rows_with_nothing_alike_and_of_one_length_are_no_tree():
    assert shared(rows_of([1, 2, 3], [4, 5, 6]), CHEAP_PAIRS) is None


def test_short_rows_fill_the_bin_beside_a_long_one_instead_of_being_padded():
    layout = shared(rows_of([1] * 8, [2, 3], [3, 4], [4, 5, 6]), CHEAP_PAIRS)
    assert layout.ids.size < 4 * 8
    assert sorted(layout.ids[layout.ids > 0].tolist()) == [1] * 8 + [2, 3, 3, 4, 4, 5, 6]


def test_where_attention_is_what_costs_rows_stay_apart():
    rows = rows_of(*([1, 2, 3, 4, *range(5 + 8 * row, 13 + 8 * row)] for row in range(8)))
    assert shared(rows, Costs(token=1, pair=1000)) is None
    assert shared(rows, Costs(token=1000, pair=0)).ids.shape == (1, 4 + 8 * 8)


@pytest.mark.parametrize("seed", range(20))
def test_every_token_sees_its_own_row_up_to_itself(seed):
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(1, 4, rng.integers(1, 9)) for _ in range(rng.integers(1, 5))]
    rows = [
        np.concatenate([prompts[rng.integers(len(prompts))], rng.integers(1, 4, rng.integers(1, 12))])
        for _ in range(rng.integers(8, 24))
    ]
    costs = Costs(token=float(rng.integers(50, 100)), pair=float(rng.integers(0, 2)))
    layout = shared(rows, costs)
    bins, length = layout.ids.shape
    assert costs.of(bins, length) < costs.of(len(rows), max(map(len, rows)))
    begin = 0
    for row in rows:
        places = layout.places[begin : begin + len(row)]
        begin += len(row)
        [at] = set((places // length).tolist())
        assert layout.ids.flat[places].tolist() == row.tolist()
        assert layout.positions.flat[places].tolist() == list(range(len(row)))
        for step, place in enumerate(places % length):
            assert sorted(np.flatnonzero(layout.mask[at, place])) == sorted(places[: step + 1] % length)
    for place in set(range(bins * length)) - set(layout.places.tolist()):  # padding
        assert np.flatnonzero(layout.mask[place // length, place % length]).tolist() == [place % length]
