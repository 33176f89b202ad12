"""Savings and what is said of them, of summaries by hand."""

import math

import pytest

from tests.evidence import made
from tests.evidence.hand import evidence, run
from verl_dots.evidence.cells import Figure, Missing, Why
from verl_dots.evidence.claims import Claim, verdict
from verl_dots.evidence.measures import bound_of, saved_column
from verl_dots.evidence.measuring import measure
from verl_dots.evidence.summary_cells import deviation, of_time, reached, saving, timed

STEPS, TIME, SECONDS = (saved_column(what, hold="first") for what in ("steps", "time", "train_seconds"))
WHY = Missing(Why.NOT_MEASURED, "it or the baseline first validated above it: 1 of 1 seeds")
CLAIM = Claim("it saves", "dots", STEPS, 0.1, "somebody", combination="c")


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
    figures = {STEPS: some, TIME: some, "steps_to_100_first": some, bound_of(STEPS): (0.2, 0.1, 0.3, 3, 3)}
    assert saving(made.summary({("c", "dots"): figures}), "c", "dots", TIME) == Missing(Why.NOT_MEASURED)
    summary = made.summary({("c", "dots"): figures | {"saved_per_step": (0.1, 0.0, 0.2, 3, 3)}})
    assert saving(summary, "c", "dots", TIME) == Missing(Why.NOT_REACHED, "2 of 3 seeds")
    least = Figure(20.0, 10.0, 30.0, seeds=3, remark="2 of 3 seeds", at_most=True)
    assert saving(summary, "c", "dots", STEPS) == least


def test_where_the_baseline_gains_nothing_there_is_nothing_to_reach():
    """GRPO falls from 40 to 30 % with seed 2, and DOTS comes to its 60 % of seed 1, which is no failure with seed 2."""
    dots = run({0: 0.4, 10: 0.8})
    climbs, falls = run({0: 0.4, 10: 0.6}), run({0: 0.4, 10: 0.3})
    both = {("grpo", 1): climbs, ("grpo", 2): falls, ("dots", 1): dots, ("dots", 2): dots}
    summary = measure(evidence(both), smoothing="none").summary
    assert saving(summary, "c", "dots", STEPS) == Missing(Why.NO_GAIN, "1 of 2 seeds")
    assert reached(summary, "c", "dots") == "1 of 1 (1 without a gain)"
    assert verdict(CLAIM, summary) == ("not measured", Missing(Why.NO_GAIN, "1 of 2 seeds"))
    none = measure(evidence({("grpo", 1): falls, ("dots", 1): dots}), smoothing="none").summary
    assert saving(none, "c", "dots", TIME) == Missing(Why.NO_GAIN, "1 of 1 seeds")
    assert reached(none, "c", "dots") == Missing(Why.NO_GAIN)


def test_an_accuracy_that_was_there_before_the_first_validation_was_reached_at_a_cost_that_nobody_knows():
    """DOTS is first validated after step 5, above GRPO's 60 %: what it saves is not known, and it did come there."""
    runs = {("grpo", 1): run({0: 0.4, 5: 0.5, 10: 0.6}), ("dots", 1): run({5: 0.7, 10: 0.8})}
    summary = measure(evidence(runs), smoothing="none").summary
    why = WHY
    assert saving(summary, "c", "dots", STEPS) == why
    assert verdict(CLAIM, summary) == ("not measured", why)
    assert reached(summary, "c", "dots") == "1 of 1"


@pytest.mark.parametrize(("grpo", "dots", "came"), [
    # Both are compared from step 10 on, where DOTS is above the target; before training it was below.
    (run({10: 0.3, 20: 0.5, 30: 0.7, 40: 0.8}), run({0: 0.1, 10: 0.9, 20: 0.9, 30: 0.9, 40: 0.9}), "1 of 1"),
    # There GRPO itself is at its target, at a cost that nobody knows, and DOTS never comes to it.
    (run({0: 0.1, 10: 0.6, 20: 0.6, 30: 0.6, 40: 0.6}), run({10: 0.3, 20: 0.3, 30: 0.3, 40: 0.3}), "0 of 1"),
])  # fmt: skip
def test_who_came_to_an_accuracy_does_not_follow_from_its_cost(grpo, dots, came):
    summary = measure(evidence({("grpo", 1): grpo, ("dots", 1): dots})).summary
    assert reached(summary, "c", "dots") == came
    assert saving(summary, "c", "dots", STEPS) == WHY
    assert verdict(CLAIM, summary) == ("not measured", WHY)


def test_what_is_not_kept_has_a_bound_also_of_a_run_that_began_above():
    """It begins above GRPO's 30 % and falls below for good: of 20 steps it saves at most none."""
    runs = {("grpo", 1): run({0: 0.1, 10: 0.2, 20: 0.3}), ("dots", 1): run({0: 0.35, 10: 0.2, 20: 0.2})}
    summary = measure(evidence(runs), smoothing="none").summary
    found = saving(summary, "c", "dots", saved_column("steps"))
    assert (found.value, found.at_most, found.remark) == (0.0, True, "0 of 1 seeds")


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
