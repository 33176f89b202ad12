"""Runs that are added to kept ones."""

import math

import pandas as pd

from tests.evidence.hand import evidence, run
from tests.refusals import refused
from verl_dots.evidence.merging import merged, without_round
from verl_dots.evidence.records import RUN_KEY, Evidence

LOW, HIGH = run({0: 0.1, 2: 0.5}), run({0: 0.1, 2: 0.7})


def keys(found: Evidence) -> list[tuple]:
    return [tuple(row) for row in found.runs[list(RUN_KEY)].itertuples(index=False)]


def test_seeds_are_added_in_the_order_in_which_folders_are_read():
    kept = evidence({("grpo", 1): LOW, ("dots", 1): LOW})
    new = evidence({("grpo", 2): LOW, ("dots", 1, "time"): LOW})
    both = merged(kept, new)
    assert keys(both) == [
        ("c", "grpo", 1, "accuracy"), ("c", "grpo", 2, "accuracy"),
        ("c", "dots", 1, "accuracy"), ("c", "dots", 1, "time"),
    ]  # fmt: skip
    assert len(both.steps) == len(kept.steps) + len(new.steps)
    again = merged(new, kept)
    pd.testing.assert_frame_equal(again.steps, both.steps)
    pd.testing.assert_frame_equal(again.runs, both.runs)


def test_a_new_run_takes_the_place_of_the_kept_one_of_its_key_alone():
    both = merged(evidence({("grpo", 1): LOW, ("grpo", 2): LOW}), evidence({("grpo", 1): HIGH}))
    assert both.run("c", "grpo", 1, "accuracy").accuracy.dropna().tolist() == [0.1, 0.7]
    assert both.run("c", "grpo", 2, "accuracy").accuracy.dropna().tolist() == [0.1, 0.5]
    assert len(both.runs) == 2


def test_a_metric_that_one_lacks_is_missing_there():
    more = run({0: 0.1, 2: 0.5}, **{"actor/entropy": 0.25})
    for both in (
        merged(evidence({("grpo", 1): LOW}), evidence({("grpo", 2): more})),
        merged(evidence({("grpo", 2): more}), evidence({("grpo", 1): LOW})),
    ):
        first, second = (both.run("c", "grpo", seed, "accuracy")["actor/entropy"].tolist()[-1] for seed in (1, 2))
        assert math.isnan(first) and second == 0.25


def test_notes_on_a_combination_are_of_its_latest_reading():
    kept, new = evidence({("grpo", 1): LOW}), evidence({("grpo", 2): LOW})
    both = merged(
        Evidence(kept.steps, kept.runs, ("c: a run was cut.", "d: another was.")),
        Evidence(new.steps, new.runs, ("c: none was.",)),
    )
    assert both.notes == ("d: another was.", "c: none was.")


def test_a_round_of_timing_runs_of_a_method_can_be_taken_out():
    runs = {("grpo", 1, "time"): LOW, ("dots", 1, "time"): LOW, ("dots", 2, "time"): LOW, ("dots", 1): LOW}
    left = without_round(evidence(runs), "dots", 1)
    assert keys(left) == [("c", "grpo", 1, "time"), ("c", "dots", 2, "time"), ("c", "dots", 1, "accuracy")]
    assert left.run("c", "dots", 1, "time").empty and not left.run("c", "dots", 1, "accuracy").empty
    with refused("--drop", "unknown", "dots 1", "dots 2, grpo 1"):
        without_round(left, "dots", 1)
