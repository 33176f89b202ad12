import pytest

from tests.evidence.hand import evidence, run
from verl_dots.evidence.curves import at_common_steps, smoothed, smoothed_curves

ROWS = run({0: 0.1, 2: 0.5, 4: 0.3, 6: 0.7})


@pytest.mark.parametrize(
    ("smoothing", "accuracies"),
    [
        ("none", [0.1, 0.5, 0.3, 0.7]),
        ("trailing", [0.1, 0.3, 0.3, 0.5]),  # means of 1, 2, 3 and the last 3
        ("monotone", [0.1, 0.4, 0.4, 0.7]),  # 0.5 and 0.3 are pooled
    ],
)
def test_smoothing(smoothing, accuracies):
    found = smoothed(ROWS.sample(frac=1.0, random_state=2), smoothing)
    assert found["step"].tolist() == [0, 2, 4, 6]
    assert found["accuracy"].tolist() == pytest.approx(accuracies)
    assert found["train_seconds"].tolist() == [0, 4, 8, 12]


def test_a_rising_curve_is_its_own_monotone_one():
    rows = run({0: 0.1, 2: 0.1, 4: 0.4})
    assert smoothed(rows, "monotone")["accuracy"].tolist() == [0.1, 0.1, 0.4]


def test_curves_of_all_accuracy_runs():
    found = smoothed_curves(evidence({("grpo", 1): ROWS, ("dots", 1): ROWS, ("dots", 1, "time"): ROWS}), "none")
    assert len(found) == 8 and set(found["kind"]) == {"accuracy"}
    assert found["accuracy"].tolist() == [0.1, 0.5, 0.3, 0.7] * 2


def validated(*steps):
    """A run that is right in a hundredth of its steps of all cases, and was validated at some of them."""
    return run({step: step / 100 for step in steps})


def compared(runs, **more):
    """(method, seed) -> the steps at which it was validated that count; and the notes."""
    found, notes = at_common_steps(evidence(runs).steps, "grpo", **more)
    known = found.dropna(subset=["accuracy"])
    return {key: of["step"].tolist() for key, of in known.groupby(["method", "seed"])}, notes


EVERY = validated(*range(0, 31, 3))  # 11 validations


def test_a_validation_that_one_run_lacks_is_left_out_of_the_others_of_its_seed():
    lacks = validated(*(step for step in range(0, 31, 3) if step != 27))
    found, notes = compared({("grpo", 1): EVERY, ("dots", 1): lacks, ("grpo", 2): EVERY, ("dots", 2): EVERY})
    assert found["grpo", 1] == found["dots", 1] == [*range(0, 25, 3), 30]
    assert found["grpo", 2] == found["dots", 2] == [*range(0, 31, 3)]
    assert notes == [
        "c, seed 1: runs were validated at different steps (grpo 11, dots 10 of them): only what all share is compared."
    ]


@pytest.mark.parametrize(("smoothing", "methods"), [("trailing", {"grpo"}), ("none", {"grpo", "dots"})])
def test_a_run_that_was_validated_at_other_steps_is_not_compared_with_smoothed_ones(smoothing, methods):
    runs = {("grpo", 1): EVERY, ("dots", 1): validated(0, 10, 20, 30)}
    found, notes = compared(runs, smoothing=smoothing)
    assert {method for method, _ in found} == methods
    assert found["grpo", 1] == [*range(0, 31, 3)]
    told = "c, seed 1: dots is left out: it shares 2 of 4 validations with grpo; train both with one trainer.test_freq."
    assert notes == ([told] if smoothing == "trailing" else [])
    assert set(smoothed_curves(evidence(runs), smoothing)["method"]) == methods


def test_runs_without_one_of_the_baseline_and_shorter_ones_stay_as_they_are():
    short, alone = validated(*range(0, 20, 3), 20), validated(0, 10, 20, 30)
    found, notes = compared({("grpo", 1): EVERY, ("dots", 1): short, ("dots", 2): alone})
    assert found["dots", 1] == [0, 3, 6, 9, 12, 15, 18, 20] and len(found["grpo", 1]) == 11
    assert found["dots", 2] == [0, 10, 20, 30] and notes == []
