"""Claims held against a summary: met, missed, unclear, or not measured."""

import math

import pandas as pd
import pytest

from tests.evidence import hand
from tests.launches import ROOT
from tests.refusals import refused
from verl_dots.evidence.cells import Figure, Missing, Why, text_of
from verl_dots.evidence.claims import CAUSES, SECTIONS, Claim, claims_table, read_claims, require_known, verdict
from verl_dots.evidence.measures import OVERALL, SUMMARY_COLUMNS, bound_of, saved_column
from verl_dots.evidence.measuring import measure
from verl_dots.evidence.methods import LOOKS
from verl_dots.settings import ConfigError

TIME, STEPS = (saved_column(what, hold="first") for what in ("time", "steps"))
SUMMARY = pd.DataFrame(
    [
        (OVERALL, "dots_rr", TIME, 0.45, 0.1, 0.3, 0.6, 3, 3, 0),
        (OVERALL, "dots", TIME, math.nan, math.nan, math.nan, math.nan, 3, 2, 0),
        (OVERALL, "e3", TIME, math.nan, math.nan, math.nan, math.nan, 3, 0, 0),
        (OVERALL, "e3", STEPS, math.nan, math.nan, math.nan, math.nan, 3, 0, 0),
        (OVERALL, "e3", "saved_per_step", math.nan, math.nan, math.nan, math.nan, 3, 0, 0),
        (OVERALL, "all", TIME, math.nan, math.nan, math.nan, math.nan, 3, 0, 0),
        (OVERALL, "all", STEPS, math.nan, math.nan, math.nan, math.nan, 3, 2, 0),
        (OVERALL, "all", bound_of(STEPS), 0.1, 0.1, -0.05, 0.25, 3, 3, 0),
        ("one", "e3", STEPS, math.nan, math.nan, math.nan, math.nan, 1, 0, 0),
        ("one", "e3", bound_of(STEPS), 0.1, math.nan, math.nan, math.nan, 1, 1, 0),
        (OVERALL, "dash", TIME, math.nan, math.nan, math.nan, math.nan, 3, 0, 0),
        (OVERALL, "dash", STEPS, 0.2, 0.1, 0.1, 0.3, 3, 3, 0),
        (OVERALL, "dash", "saved_per_step", 0.09, 0.1, -0.05, 0.24, 3, 3, 5),
        (OVERALL, "mopps", TIME, math.nan, math.nan, math.nan, math.nan, 6, 6, 0),
        ("one", "dash", "difference", -0.004, math.nan, math.nan, math.nan, 1, 1, 0),
        ("one", "dash", "saved_per_step", 0.2, 0.0, math.nan, math.nan, 3, 3, 1),
    ],
    columns=list(SUMMARY_COLUMNS),
)


def claim(method: str, at_least: float, measure: str = TIME, **more) -> Claim:
    return Claim(f"{method} does", method, measure, at_least, "somebody", **more)


@pytest.mark.parametrize("asked, word, cell", [
    # The mean alone decides nothing: the whole interval, from 0.3 to 0.6, has to be on one side.
    (claim("dots_rr", 0.3), "met", Figure(45.0, 30.0, 60.0, seeds=3)),
    (claim("dots_rr", 0.301), "unclear", Figure(45.0, 30.0, 60.0, seeds=3)),
    (claim("dots_rr", 0.6), "unclear", Figure(45.0, 30.0, 60.0, seeds=3)),
    (claim("dots_rr", 0.601), "missed", Figure(45.0, 30.0, 60.0, seeds=3)),
    (claim("dash", 0.04, "saved_per_step"), "unclear",
     Figure(9.0, -5.0, 24.0, seeds=3, remark="5 pairs of timing runs")),
    # Without an interval nothing is decided, whatever the mean.
    (claim("dash", 0.04, "saved_per_step", combination="one"), "unclear",
     Figure(20.0, seeds=3, remark="1 pair of timing runs")),
    (claim("dash", 0.3, "saved_per_step", combination="one"), "unclear",
     Figure(20.0, seeds=3, remark="1 pair of timing runs")),
    # Without a bound nothing is decided.
    (claim("dots", 0.1), "unclear", Missing(Why.NOT_REACHED, "2 of 3 runs reach the accuracy, not timed")),
    (claim("e3", 0.1, STEPS), "unclear", Missing(Why.NOT_REACHED, "0 of 3 runs reach the accuracy")),
    (claim("all", 0.1), "unclear", Missing(Why.NOT_REACHED, "2 of 3 runs reach the accuracy, not timed")),
    # The whole interval of the bound, from -5 to 25, has to be below the target: its mean alone decides nothing.
    (claim("all", 0.251, STEPS), "missed",
     Figure(10.0, -5.0, 25.0, seeds=3, remark="2 of 3 runs reach the accuracy", at_most=True)),
    (claim("all", 0.25, STEPS), "unclear",
     Figure(10.0, -5.0, 25.0, seeds=3, remark="2 of 3 runs reach the accuracy", at_most=True)),
    (claim("all", -0.1, STEPS), "unclear",
     Figure(10.0, -5.0, 25.0, seeds=3, remark="2 of 3 runs reach the accuracy", at_most=True)),
    (claim("e3", 0.2, STEPS, combination="one"), "unclear",
     Figure(10.0, seeds=1, remark="0 of 1 runs reach the accuracy", at_most=True)),
    (claim("dash", 0.1), "not measured", Missing(Why.NOT_RECORDED)),
    (claim("e3", 0.1, "saved_per_step"), "not measured", Missing(Why.NOT_RECORDED)),
    (claim("mopps", 0.1), "not measured", Missing(Why.NOT_RUN, "on every combination")),
    (claim("adarft", 0.1), "not measured", Missing(Why.NOT_RUN)),
    (claim("dash", -0.01, "difference", combination="one", unit="points"), "unclear", Figure(-0.4, seeds=1)),
])  # fmt: skip
def test_a_claim_is_met_or_missed_by_the_whole_interval(asked, word, cell):
    assert verdict(asked, SUMMARY) == (word, cell)


def test_a_combination_that_was_not_timed_is_no_accuracy_that_was_not_reached():
    """Two thirds of the runs were timed; of three two come to the accuracy, and one of these was not timed."""
    tokens = saved_column("tokens", hold="first")
    rows = [("saved_per_step", 2), (STEPS, 2), (TIME, 1), (tokens, 1)]
    nothing = (math.nan, math.nan, math.nan, math.nan)
    partly = pd.DataFrame(
        [(OVERALL, "all", name, *nothing, 3, came, 2) for name, came in rows], columns=SUMMARY.columns
    )
    assert verdict(claim("all", 0.1, "saved_per_step"), partly) == (
        "not measured", Missing(Why.NOT_MEASURED, "2 of 3 runs")
    )  # fmt: skip
    told = "2 of 3 runs reach the accuracy"
    assert verdict(claim("all", 0.1, tokens), partly) == ("unclear", Missing(Why.NOT_REACHED, told))
    assert verdict(claim("all", 0.1), partly) == ("unclear", Missing(Why.NOT_REACHED, f"{told}, not timed"))


def test_a_claim_that_fails_is_shown_as_failed():
    table = claims_table([claim("dots_rr", 0.65), claim("dash", -0.01, "difference", unit="points")], SUMMARY)
    (first, second) = table.sections[0].rows
    assert [text_of(cell, 1) for cell in first] == [
        "dots_rr does", "somebody", "65 %", "45.0 [30.0, 60.0]", "missed",
    ]  # fmt: skip
    assert [text_of(cell, 1) for cell in second][2:] == ["-1 points", "not run", "not measured"]


@pytest.mark.parametrize("seconds, words", [
    # Two combinations of two seeds, and one run of four that never comes there: its 10 steps are all of GRPO's. Steps
    # saved: 0.5, 0.5, 0.5, and 0 at most. Means 0.5 and 0.25, variance 0.125 / 2, t of two 4.302653: 0.375 +- 0.537832.
    (None, {"steps": "at most 37.5 [-16.3, 91.3] (3 of 4 runs reach the accuracy)",
            "time": "not reached (3 of 4 runs reach the accuracy, not timed)"}),
    # A step takes 0.8 of GRPO's: 0.6, 0.6, 0.6, and 0.2 at most. Mean 0.5, squares 0.08, and no noise of the pairs:
    # 0.5 +- 4.302653 sqrt(0.04) / 2.
    (1.6, {"time": "at most 50.0 [7.0, 93.0] (3 of 4 runs reach the accuracy)"}),
])  # fmt: skip
def test_a_bound_of_measured_runs_by_hand(seconds, words):
    grpo, there = hand.run({0: 0.0, 10: 0.4}), hand.run({0: 0.0, 5: 0.4, 10: 0.4})
    keys = [(seed, "accuracy", name) for name in "ab" for seed in (1, 2)]
    runs = {("grpo", *key): grpo for key in keys} | {("dots", *key): there for key in keys}
    runs["dots", 2, "accuracy", "b"] = hand.run({0: 0.0, 10: 0.3})
    for name in "ab" if seconds else "":
        runs["grpo", 1, "time", name] = hand.run({0: 0.0, 10: 0.4}, seconds=2.0)
        runs["dots", 1, "time", name] = hand.run({0: 0.0, 10: 0.4}, seconds=seconds)
    summary = measure(hand.evidence(runs), smoothing="none", stand_in=False).summary
    for what, expected in words.items():
        word, cell = verdict(claim("dots", 0.95, saved_column(what, hold="first")), summary)
        assert text_of(cell, 1) == expected and word == ("missed" if cell_is_bound(cell) else "unclear")
        assert verdict(claim("dots", 0.9, saved_column(what, hold="first")), summary)[0] == "unclear"


def cell_is_bound(cell):
    return isinstance(cell, Figure) and cell.at_most


def test_of_one_combination_a_claim_is_of_that_one_and_says_whether_it_was_timed_alone():
    runs = {("grpo", 1): hand.run({0: 0.0, 10: 0.4}), ("dots", 1): hand.run({0: 0.0, 5: 0.4, 10: 0.4})}
    found = measure(hand.evidence(runs), smoothing="none")
    asked = [claim("dots", 0.4, measure) for measure in (STEPS, TIME)] + [claim("e3", 0.4, STEPS)]
    rows = claims_table(asked, found.summary, by_seed=found.by_seed).sections[0].rows
    assert [tuple(text_of(cell, 1) for cell in row[3:]) for row in rows] == [
        ("50.0", "unclear"), ("50.0 (of accuracy runs)", "unclear"), ("not run", "not measured"),
    ]  # fmt: skip
    two = {(*key, "accuracy", name): of for key, of in runs.items() for name in "ab"}
    apart = measure(hand.evidence(two), smoothing="none", apart=["b"])
    (row,) = claims_table(asked[:1], apart.summary).sections[0].rows
    assert [text_of(cell, 1) for cell in row[3:]] == ["not measured (no combination stands for all)", "not measured"]


@pytest.mark.parametrize(
    ("asked", "key", "near"),
    [
        (claim("dots", 0.1, "saved_tme_100_first"), "measure", "saved_time_100_first"),
        (claim("dots_r", 0.1), "method", "dots_rr"),
        (claim("dots", 0.1, combination="on"), "combination", "one"),
        (claim("dots", 0.1, "difference", against="grpo_fe"), "against", "grpo_few"),
    ],
)
def test_a_claim_of_what_there_is_not_is_refused(asked, key, near):
    require_known([claim("mopps", 0.1), claim("grpo_few", 0.1, combination="one")], SUMMARY)
    given = getattr(asked, key)
    with refused(key, "unknown", asked.claim, f"there is no {key} {given!r}", near):
        require_known([asked], SUMMARY)
    if key != "measure":
        require_known([asked], SUMMARY, methods=[given], combinations=[given])


def test_a_claim_may_be_against_another_method_than_the_baseline():
    few = pd.DataFrame(
        [(OVERALL, "e3", "difference", -0.0094, 0.01, -0.0152, -0.003, 18, 18, 0)], columns=SUMMARY.columns
    )
    asked = claim("e3", 0.014, "difference", unit="points", against="grpo_few")
    (row,) = claims_table([asked], SUMMARY, {"grpo_few": few}).sections[0].rows
    assert [text_of(cell, 2) for cell in row[2:]] == ["1.4 points", "-0.94 [-1.52, -0.30]", "missed"]
    with pytest.raises(ConfigError, match="against grpo_few there is difference alone, not saved_per_step") as error:
        claim("e3", 0.1, "saved_per_step", against="grpo_few")
    assert (error.value.key, error.value.reason) == ("measure", "choice")


def test_the_causes_of_missed_targets_are_where_they_are_said_to_be():
    headings = [line for line in (ROOT / CAUSES).read_text().splitlines() if line.startswith("## ")]
    assert {f"## {name}" for name in SECTIONS} <= set(headings)
    note = claims_table([], SUMMARY).notes[-1]
    assert CAUSES in note and all(name in note for name in SECTIONS)


def test_the_kept_claims_are_of_known_methods_and_measures():
    claims = read_claims(ROOT / "recipes/evidence/claims.yaml")
    assert {one.method for one in claims} | {one.against for one in claims} <= set(LOOKS) and {
        one.combination for one in claims
    } == {OVERALL}
    measures = {TIME, saved_column("steps", hold="first"), "saved_per_step", "difference"}
    assert {one.measure for one in claims} == measures
    with pytest.raises(ValueError, match="unit is 'shares'; give one of percent, points"):
        claim("dots", 0.1, unit="shares")


def test_nothing_is_claimed_of_all_where_one_has_no_run_of_the_baseline():
    """DOTS is bad on a combination that GRPO has no run of: the mean over the others says nothing of it."""
    table = claims_table([claim("dots_rr", 0.3)], SUMMARY, lacking=["hard"])
    assert [text_of(cell, 1) for cell in table.sections[0].rows[0]][3:] == [
        "not measured (no run of grpo on hard)", "not measured",
    ]  # fmt: skip
