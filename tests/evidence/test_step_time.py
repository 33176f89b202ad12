import math

import pandas as pd
import pytest

from tests.evidence.hand import evidence, run
from verl_dots.evidence.measures import ROUND_COLUMNS
from verl_dots.evidence.step_time import commits_notes, step_time


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


PAIR = {("grpo", 2, "time"): timed(4.0), ("dots", 2, "time"): timed(3.0)}
TOLD = "c, round 2: times of a step are compared {} alone, and dots {} and grpo {} are left out."


def known(runs=None, **of_method):
    """A round of timing runs, whose table of runs has other texts: method -> column -> text."""
    found = evidence(PAIR | (runs or {}))
    for method, texts in of_method.items():
        for column, text in texts.items():
            found.runs.loc[found.runs["method"] == method, column] = text
    return found


def test_times_of_two_commits_make_no_pair():
    one, other = "a" * 40, "b" * 40
    found = step_time(known(grpo={"commit": one}, dots={"commit": one}), "c", "dots", 1, "grpo", stand_in=False)
    assert (found.ratio, found.pairs, found.notes) == (0.75, ((3.0, 4.0),), ())
    found = step_time(known(grpo={"commit": one}, dots={"commit": other}), "c", "dots", 1, "grpo", stand_in=False)
    assert math.isnan(found.ratio) and found.rounds == {}
    assert found.notes == (TOLD.format("of one commit", "of bbbbbbbbbbbb", "of aaaaaaaaaaaa"),)
    accuracy = {("grpo", 1): timed(2.0), ("dots", 1): timed(3.0)}
    mixed = known(accuracy, grpo={"commit": one}, dots={"commit": other})
    assert math.isnan(step_time(mixed, "c", "dots", 1, "grpo").ratio), "nor do accuracy runs, which would stand in"


def begun(started, finished):
    return {"started": f"2026-01-01T{started}", "finished": f"2026-01-01T{finished}"}


def test_times_of_two_sittings_make_no_pair():
    """The first round of a combination was cut after one method, and made up hours later."""
    morning, evening = begun("11:00:00", "11:00:30"), begun("14:00:00", "14:00:30")
    found = step_time(known(grpo=evening, dots=morning), "c", "dots", 1, "grpo", stand_in=False)
    assert math.isnan(found.ratio)
    sitting = f"{TOLD} 15 idle minutes end a sitting."
    told = sitting.format("of one sitting", "begun 2026-01-01T11:00:00", "begun 2026-01-01T14:00:00")
    assert found.notes == (told,)
    found = step_time(known(grpo=evening, dots=begun("13:44:00", "13:45:00")), "c", "dots", 1, "grpo")
    assert (found.ratio, found.notes) == (0.75, ()), "15 minutes to the minute"
    assert step_time(known(dots=morning), "c", "dots", 1, "grpo", stand_in=False).notes == (
        sitting.format("of one sitting", "begun 2026-01-01T11:00:00", "begun at a time that is not recorded"),
    )


def test_runs_between_two_make_one_sitting_of_them():
    """GRPO and DOTS are an hour apart, and all of it was taken by E3."""
    between = {("e3", 2, "time"): timed(9.0)}
    of = {"grpo": begun("11:00:00", "11:01:00"), "dots": begun("12:00:00", "12:01:00")}
    assert math.isnan(step_time(known(between, **of), "c", "dots", 1, "grpo", stand_in=False).ratio)
    of["e3"] = begun("11:02:00", "11:59:00")
    assert step_time(known(between, **of), "c", "dots", 1, "grpo").ratio == 0.75
    found = step_time(known(between, **of | {"e3": of["e3"] | {"machine": "B"}}), "c", "dots", 1, "grpo", False)
    assert math.isnan(found.ratio), "another machine's runs do not fill the time of this one"


def test_a_mean_over_pairs_of_several_commits_says_so():
    """Of two rounds, each of one commit; the baseline's own are no matter."""
    runs = {(method, seed, "time"): timed(2.0) for method in ("grpo", "dots", "all") for seed in (1, 2)}
    found = evidence(runs)
    found.runs["commit"] = ["a" * 40 if row.seed == 1 else "" for row in found.runs.itertuples()]
    rounds = [("c", "dots", 1, 1.0), ("c", "dots", 2, 1.0), ("c", "all", 2, 1.0)]
    table = pd.DataFrame(rounds, columns=list(ROUND_COLUMNS))
    assert commits_notes(found, table) == [
        "dots: pairs of timing runs are of several commits, 1 of one not recorded, 1 of aaaaaaaaaaaa. The mean is of "
        "all alike."
    ]
