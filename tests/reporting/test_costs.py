import math

import pytest

from verl_dots.reporting.costs import batch_rows, with_costs

# 8 rollouts of 50 + 10 tokens.
BATCH = {"perf/total_num_tokens": 480, "prompt_length/mean": 50.0, "response_length/mean": 10.0}


def step(number, seconds=2.0, **more):
    return {"step": number, "timing_s/step": seconds} | BATCH | more


def totals(rows, name):
    return [row.get(name) for row in with_costs(rows)]


def test_totals_by_hand():
    rows = [{"step": 0, "val-core/x/acc/mean@1": 0.5}, step(1), step(2, 3.0, **{"timing_s/testing": 1.5}), step(3)]
    assert totals(rows, "train_seconds") == [0, 2, 5, 7]
    assert totals(rows, "wall_seconds") == [0, 2, 6.5, 8.5]
    assert totals(rows, "generated_tokens") == [0, 80, 160, 240]
    assert totals(rows, "generated_rollouts") == [0, 8, 16, 24]
    assert "train_seconds" not in rows[1]  # what was given stays


def test_what_is_told_counts_before_the_batch():
    told = {"training/generated_tokens": 100, "training/generated_rollouts": 12}
    assert totals([step(1, **told), step(2, **told)], "generated_tokens") == [100, 200]
    assert totals([step(1, **told), step(2, **told)], "generated_rollouts") == [12, 24]
    # Tokens alone are of a version that rolled out more than its batch without counting it.
    old = {"training/generated_tokens": 100}
    assert totals([step(1, **old)], "generated_rollouts") == [None]


@pytest.mark.parametrize(
    "change",
    [
        {"perf/total_num_tokens": None}, {"prompt_length/mean": math.nan}, {"response_length/mean": None},
        {"perf/total_num_tokens": 500},  # of 8 1/3 rows
        {"perf/total_num_tokens": 0}, {"training/filter_groups/evicted_samples": 1},
        {"training/filter_groups/discarded_surplus_samples": 1}, {"train/num_gen_batches": 3},
    ],
)  # fmt: skip
def test_a_batch_that_is_not_told_is_not_guessed(change):
    assert batch_rows(step(1, **change)) is None and batch_rows(step(1)) == 8
    assert totals([step(1), step(2, **change), step(3)], "generated_tokens") == [80, None, None]


def test_a_batch_that_lost_nothing_is_told():
    assert batch_rows(step(1, **{"training/filter_groups/evicted_samples": 0})) == 8


def test_a_total_ends_where_a_step_is_missing():
    assert totals([step(1), step(2), step(4)], "train_seconds") == [2, 4, None]
    assert totals([step(1), step(2, None), step(3)], "train_seconds") == [2, None, None]
    assert totals([step(5), step(6)], "train_seconds") == [None, None]  # what was before is not known


def test_totals_that_are_there_stay():
    rows = [step(1, train_seconds=9.0), step(2, train_seconds=19.0)]
    assert totals(rows, "train_seconds") == [9.0, 19.0] and totals(rows, "wall_seconds") == [2, 4]
