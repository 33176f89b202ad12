"""Savings and what is said of them, of summaries by hand."""

import math

import pytest

from tests.evidence import made
from tests.evidence.hand import evidence, run
from verl_dots.evidence.cells import Missing, Why
from verl_dots.evidence.measures import saved_column
from verl_dots.evidence.measuring import measure
from verl_dots.evidence.summary_cells import deviation, of_time, saving, timed

STEPS, TIME, SECONDS = (saved_column(what, hold="first") for what in ("steps", "time", "train_seconds"))


@pytest.mark.parametrize("mean, low, high, remark", [
    (-0.04, -0.14, 0.06, "unclear"), (0.04, -0.06, 0.14, "unclear"), (0.04, 0.0, 0.14, "unclear"),
    (0.0, 0.0, 0.0, "saves nothing"), (-0.04, -0.14, -0.01, "saves nothing"), (-0.04, -0.14, 0.0, "saves nothing"),
    (-0.04, math.nan, math.nan, "saves nothing"), (0.04, math.nan, math.nan, ""), (0.04, 0.01, 0.14, ""),
])  # fmt: skip
def test_where_the_interval_holds_0_nothing_is_said_of_the_sign(mean, low, high, remark):
    """DASH's updates are GRPO's: exactly 0, and nothing about it is unclear."""
    summary = made.summary({("c", "dash"): {STEPS: (mean, low, high, 3, 3)}})
    assert saving(summary, "c", "dash", STEPS).remark == remark


def test_seconds_that_were_not_measured_are_no_accuracy_that_was_not_reached():
    some = (math.nan, math.nan, math.nan, 3, 2)
    figures = {STEPS: some, TIME: some, "steps_to_100_first": some}
    assert saving(made.summary({("c", "dots"): figures}), "c", "dots", TIME) == Missing(Why.NOT_MEASURED)
    summary = made.summary({("c", "dots"): figures | {"saved_per_step": (0.1, 0.0, 0.2, 3, 3)}})
    assert saving(summary, "c", "dots", TIME) == Missing(Why.NOT_REACHED, "2 of 3 seeds")
    assert saving(summary, "c", "dots", STEPS) == Missing(Why.NOT_REACHED, "2 of 3 seeds")


def test_a_saving_of_training_seconds_is_of_accuracy_runs():
    """Of 10 steps of 2 s; DOTS has the accuracy after 5, of 3 s: 15 s of 20. Its timing runs tell nothing of that."""
    runs = {("grpo", 1): run({0: 0.0, 10: 0.4}), ("dots", 1): run({0: 0.0, 5: 0.4, 10: 0.4}, seconds=3.0)}
    runs |= {(method, 1, "time"): run({0: 0.0, 4: 0.1}) for method in ("grpo", "dots")}
    measured = measure(evidence(runs), smoothing="none")
    found = saving(measured.summary, "c", "dots", SECONDS)
    assert found.value == pytest.approx(25) and of_time(SECONDS)
    assert timed(found, measured.by_seed, "c", "dots", measure=SECONDS).remark == "of accuracy runs"
    whole = saving(measured.summary, "c", "dots", TIME)
    assert timed(whole, measured.by_seed, "c", "dots", measure=TIME).remark == ""
    forbidden = measure(evidence(runs), smoothing="none", stand_in=False)
    missing = saving(forbidden.summary, "c", "dots", SECONDS)
    assert timed(missing, forbidden.by_seed, "c", "dots", measure=SECONDS) == Missing(Why.NOT_MEASURED)
    late = runs | {("dots", 2): run({0: 0.0, 10: 0.3}), ("grpo", 2): runs["grpo", 1]}
    forbidden = measure(evidence(late), smoothing="none", stand_in=False)
    assert saving(forbidden.summary, "c", "dots", SECONDS) == Missing(Why.NOT_MEASURED), "nor is it not reached"


def test_the_deviation_of_seeds():
    """Final accuracies of 30, 40 and 50 % deviate by 10 points; a single one by nothing that is known."""
    finals = {1: 0.3, 2: 0.4, 3: 0.5}
    runs = {("grpo", seed): run({0: 0.0, 10: final}) for seed, final in finals.items()}
    summary = measure(evidence(runs), smoothing="none").summary
    assert deviation(summary, "c", "grpo", "final_accuracy", 100.0).value == pytest.approx(10)
    one = measure(evidence({("grpo", 1): runs["grpo", 1]}), smoothing="none").summary
    assert deviation(one, "c", "grpo", "final_accuracy") == Missing(Why.NO_ROW)
    assert deviation(one, "c", "dots", "final_accuracy") == Missing(Why.NOT_RUN)
