import pytest

from tests.evidence.hand import evidence, run
from verl_dots.evidence.curves import smoothed, smoothed_curves

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
