"""Where no saving is told, and why."""

import pytest

from tests.reporting.conftest import compare, curve
from verl_dots.reporting import obstacles


@pytest.mark.parametrize(
    ("accuracies", "reason"),
    [
        ([0.4], "grpo was validated only once, at step 0"),
        ([0.4, 0.5], "grpo has 2 validations, fewer than the 3 that are averaged"),
        ([0.4, 0.5, 0.4], "grpo does not climb: its final accuracy (40.0 %) is not above its first (40.0 %)"),
        ([0.4, 0.7, 0.3], "grpo does not climb: its final accuracy (30.0 %) is not above its first (40.0 %)"),
        ([0.4, 0.3, 0.5], None),
    ],
)
def test_a_baseline_must_climb(accuracies, reason):
    assert obstacles.of_baseline("grpo", curve(accuracies), 3, True) == reason


@pytest.mark.parametrize(
    ("accuracies", "reason"),
    [
        ([0.1, 0.3, 0.5], None),
        ([0.5, 0.6, 0.7], "above at its first validation (step 0)"),
        ([0.6], "above at its first validation (step 0)"),
        ([0.4], "validated once"),
        ([0.1, 0.3, 0.4], "never"),
        ([0.1, 0.3], "not in 10 steps"),
        ([0.1, 0.6], "fewer validations (2) than are averaged"),
    ],
)
def test_a_method_must_climb_through_the_target(accuracies, reason):
    assert obstacles.of_method(curve(accuracies), 0.5, 3, 20.0) == reason


def test_a_baseline_that_was_higher_before_is_named(write_run):
    # grpo is at 0.35 half way to step 2, and dots at step 6
    found = compare(write_run("grpo", 0, {0: 0.1, 2: 0.6, 4: 0.35}), write_run("dots", 0, {0: 0.1, 2: 0.2, 4: 0.35}))
    sentence = "grpo was at its final accuracy at step 1.0 of 4 already: its cost is counted up to there."
    assert found.notes[-1] == sentence
    assert found.methods[1].savings.steps == pytest.approx(-3.0)


def test_a_saving_that_did_not_last_is_named(write_run):
    found = compare(write_run("grpo", 0, {0: 0.1, 2: 0.2, 4: 0.5}), write_run("dots", 0, {0: 0.1, 2: 0.6, 4: 0.4}))
    assert found.methods[1].savings.steps == pytest.approx(1 - 1.6 / 4)
    assert found.notes[-1] == (
        "dots was at grpo's final accuracy at step 1.6, but ends below it (40.0 % against "
        "50.0 %): its saving did not last."
    )
    found = compare(write_run("a", 0, {0: 0.1, 2: 0.5}), write_run("b", 0, {0: 0.1, 2: 0.6}))
    assert "final accuracy" not in found.notes[-1]


def test_fewer_validations_than_are_averaged_are_named():
    curves = {"grpo": [curve([0.1, 0.2, 0.3])], "dots": [curve([0.1, 0.2]), curve([0.1, 0.2, 0.3])]}
    assert obstacles.short_smoothing(curves, 3) == ["fewer validations than the 3 that are averaged: dots 2."]
    assert obstacles.short_smoothing(curves, 2) == []
