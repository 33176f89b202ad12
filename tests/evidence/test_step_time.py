import math

import pytest

from tests.evidence.hand import evidence, run
from verl_dots.evidence.step_time import step_time


def timed(seconds, **parts):
    return run({0: 0.1, 4: 0.2}, seconds=seconds, **{f"timing_s/{name}": value for name, value in parts.items()})


def test_ratios_are_within_rounds():
    # The machine was twice as slow in round 2: ratios 0.5 and 0.75, not 5.0 / 8.0.
    runs = {
        ("grpo", 1): timed(9.0), ("dots", 1): timed(9.0),
        ("grpo", 1, "time"): timed(4.0), ("dots", 1, "time"): timed(2.0, gen=1.0),
        ("grpo", 2, "time"): timed(8.0), ("dots", 2, "time"): timed(6.0, gen=2.0, ref=1.0),
        ("grpo", 3, "time"): timed(16.0),
    }  # fmt: skip
    found = step_time(evidence(runs), "c", "dots", 1, "grpo")
    assert (found.seconds, found.ratio, found.source) == (4.0, 0.625, "time")
    assert found.parts == {"gen": 1.5, "ref": 0.5} and found.rounds == {1: 0.5, 2: 0.75}
    base = step_time(evidence(runs), "c", "grpo", 1, "grpo")
    assert (base.seconds, base.ratio) == pytest.approx((28 / 3, 1.0))


def test_a_method_that_was_not_timed_has_the_time_of_its_accuracy_run_of_the_seed():
    runs = {
        ("grpo", 1): timed(2.0), ("grpo", 2): timed(4.0), ("dots", 1): timed(3.0, gen=1.0), ("dots", 2): timed(2.0),
        ("grpo", 1, "time"): timed(1.0), ("dots", 2, "time"): timed(1.0),  # of no common round
    }  # fmt: skip
    one, two = (step_time(evidence(runs), "c", "dots", seed, "grpo") for seed in (1, 2))
    assert (one.seconds, one.ratio, one.source, one.parts) == (3.0, 1.5, "accuracy", {"gen": 1.0})
    assert (two.seconds, two.ratio, two.parts, two.rounds) == (2.0, 0.5, {}, {})


def test_times_that_were_not_recorded_are_nan():
    rows = timed(2.0).assign(train_seconds=math.nan)
    found = step_time(evidence({("grpo", 1): timed(2.0), ("dots", 1): rows}), "c", "dots", 1, "grpo")
    assert math.isnan(found.seconds) and math.isnan(found.ratio)


def on(machines, runs):
    """Evidence whose runs were made on machines: (method, seed, kind) -> name."""
    found = evidence(runs)
    for (method, seed, kind), name in machines.items():
        found.runs.loc[(found.runs[["method", "seed", "kind"]] == [method, seed, kind]).all(axis=1), "machine"] = name
    return found


def test_times_of_two_machines_make_no_pair():
    runs = {
        ("grpo", 1): timed(2.0), ("dots", 1): timed(3.0),
        ("grpo", 1, "time"): timed(4.0), ("dots", 1, "time"): timed(1.0),
        ("grpo", 2, "time"): timed(4.0), ("dots", 2, "time"): timed(3.0),
    }  # fmt: skip
    told = "c, {}: times of a step are compared on one machine alone, and dots on B and grpo on {} are left out."
    same = dict.fromkeys([("grpo", 2, "time"), ("dots", 2, "time")], "B")
    known = on({("grpo", 1, "time"): "A", ("dots", 1, "time"): "B", **same}, runs)
    found = step_time(known, "c", "dots", 1, "grpo")
    assert (found.ratio, found.rounds, found.notes) == (0.75, {2: 0.75}, (told.format("round 1", "A"),))
    unknown = {("dots", seed, "time"): "B" for seed in (1, 2)}
    found = step_time(on(unknown, runs), "c", "dots", 1, "grpo")  # the accuracy runs stand in
    assert (found.ratio, found.source) == (1.5, "accuracy")
    assert found.notes[0] == told.format("round 1", "one that is not recorded") and len(found.notes) == 2
    found = step_time(on({**unknown, ("dots", 1, "accuracy"): "B"}, runs), "c", "dots", 1, "grpo")
    assert math.isnan(found.ratio) and found.source == "" and len(found.notes) == 3
    assert found.notes[2] == told.format("seed 1", "one that is not recorded")
