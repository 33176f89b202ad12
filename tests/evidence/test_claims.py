"""Claims held against a summary: met, missed, or not measured."""

import math

import pandas as pd
import pytest

from tests.launches import ROOT
from verl_dots.evidence.cells import Figure, Missing, Why, text_of
from verl_dots.evidence.claims import Claim, claims_table, read_claims, verdict
from verl_dots.evidence.measures import OVERALL, SUMMARY_COLUMNS, saved_column
from verl_dots.evidence.methods import LOOKS

TIME, STEPS = (saved_column(what, hold="first") for what in ("time", "steps"))
SUMMARY = pd.DataFrame(
    [
        (OVERALL, "dots_rr", TIME, 0.45, 0.1, 0.3, 0.6, 3, 3),
        (OVERALL, "dots", TIME, math.nan, math.nan, math.nan, math.nan, 3, 2),
        (OVERALL, "e3", TIME, math.nan, math.nan, math.nan, math.nan, 3, 0),
        (OVERALL, "e3", "saved_per_step", math.nan, math.nan, math.nan, math.nan, 3, 0),
        (OVERALL, "all", TIME, math.nan, math.nan, math.nan, math.nan, 3, 0),
        (OVERALL, "all", STEPS, math.nan, math.nan, math.nan, math.nan, 3, 2),
        (OVERALL, "dash", TIME, math.nan, math.nan, math.nan, math.nan, 3, 0),
        (OVERALL, "dash", STEPS, 0.2, 0.1, 0.1, 0.3, 3, 3),
        (OVERALL, "mopps", TIME, math.nan, math.nan, math.nan, math.nan, 6, 6),
        ("one", "dash", "difference", -0.004, math.nan, math.nan, math.nan, 1, 1),
    ],
    columns=list(SUMMARY_COLUMNS),
)


def claim(method: str, at_least: float, measure: str = TIME, **more) -> Claim:
    return Claim(f"{method} does", method, measure, at_least, "somebody", **more)


@pytest.mark.parametrize("asked, word, cell", [
    (claim("dots_rr", 0.45), "met", Figure(45.0, 30.0, 60.0, seeds=3)),
    (claim("dots_rr", 0.451), "missed", Figure(45.0, 30.0, 60.0, seeds=3)),
    (claim("dots", 0.1), "missed", Missing(Why.NOT_REACHED, "2 of 3 runs reach the accuracy")),
    (claim("e3", 0.1), "missed", Missing(Why.NOT_REACHED)),
    (claim("all", 0.1), "missed", Missing(Why.NOT_REACHED, "2 of 3 runs reach the accuracy")),  # not timed either
    (claim("dash", 0.1), "not measured", Missing(Why.NOT_RECORDED)),
    (claim("e3", 0.1, "saved_per_step"), "not measured", Missing(Why.NOT_RECORDED)),
    (claim("mopps", 0.1), "not measured", Missing(Why.NOT_RUN, "on every combination")),
    (claim("adarft", 0.1), "not measured", Missing(Why.NOT_RUN)),
    (claim("dash", -0.01, "difference", combination="one", unit="points"), "met", Figure(-0.4, seeds=1)),
])  # fmt: skip
def test_a_claim_is_met_by_the_mean_alone(asked, word, cell):
    assert verdict(asked, SUMMARY) == (word, cell)


def test_a_claim_that_fails_is_shown_as_failed():
    table = claims_table([claim("dots_rr", 0.65), claim("dash", -0.01, "difference", unit="points")], SUMMARY)
    (first, second) = table.sections[0].rows
    assert [text_of(cell, 1) for cell in first] == [
        "dots_rr does", "somebody", "65 %", "45.0 [30.0, 60.0]", "missed",
    ]  # fmt: skip
    assert [text_of(cell, 1) for cell in second][2:] == ["-1 points", "not run", "not measured"]


def test_the_kept_claims_are_of_known_methods_and_measures():
    claims = read_claims(ROOT / "recipes/evidence/claims.yaml")
    assert {one.method for one in claims} <= set(LOOKS) and {one.combination for one in claims} == {OVERALL}
    measures = {TIME, saved_column("steps", hold="first"), "saved_per_step", "difference"}
    assert {one.measure for one in claims} == measures
    with pytest.raises(ValueError, match="unit is 'shares'; give one of percent, points"):
        claim("dots", 0.1, unit="shares")
