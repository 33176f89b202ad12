"""Curves against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.reporting.conftest import curve
from verl_dots.reporting import validation_curves
from verl_dots.reporting.validation_curves import Reach


def test_smooth_is_a_trailing_mean_of_three():
    # 0.1; (0.1+0.3)/2; (0.1+0.3+0.2)/3; (0.3+0.2+0.7)/3
    np.testing.assert_allclose(validation_curves.smooth([0.1, 0.3, 0.2, 0.7]), [0.1, 0.2, 0.2, 0.4], rtol=1e-12)
    np.testing.assert_allclose(validation_curves.smooth([0.1, 0.3], window=1), [0.1, 0.3])
    with pytest.raises(ValueError, match="window is 0"):
        validation_curves.smooth([0.1], window=0)


def test_few_validations_are_left_as_measured():
    assert [validation_curves.default_window(count) for count in (1, 8, 9, 40)] == [1, 1, 3, 3]


def test_validation_curve_takes_the_mean_over_sources_where_all_have_a_value():
    costs = {"wall_seconds": [1.0, 3.0, 6.0, 9.0], "train_seconds": [0.0, 2.0, 4.0, 6.0]}
    costs["generated_tokens"] = [0.0, 10.0, 20.0, 30.0]
    rows = pd.DataFrame({"step": range(4), **costs, "a": [0.2, None, 0.4, 0.9], "b": [0.4, None, 0.8, None]})
    found = validation_curves.validation_curve(rows, ["a", "b"])
    assert found.step_E.tolist() == [0, 2]
    np.testing.assert_allclose(found.accuracy_E, [0.3, 0.6])
    assert found.wall_seconds_E.tolist() == [1.0, 6.0]
    assert found.train_seconds_E.tolist() == [0.0, 4.0]
    assert found.tokens_E.tolist() == [0.0, 20.0]
    with pytest.raises(ValueError, match="no row has all of"):
        validation_curves.validation_curve(rows[1:2], ["a", "b"])


def test_first_reach_interpolates():
    # 0.5 lies a quarter of the way from 0.4 (step 10) to 0.8 (step 20): step 12.5.
    reach = validation_curves.first_reach(curve([0.1, 0.4, 0.8]), 0.5)
    assert reach == Reach(steps=12.5, wall_seconds=26.0, train_seconds=25.0, tokens=1250.0)


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_equal_but_for_its_rounding_to_six_decimals_is_reached(kept):
    """Of right answers of 512 the two have the same mean."""
    one, other = (np.mean([round(right / 512, 6) for right in three]) for three in ((249, 253, 205), (233, 265, 209)))
    assert one != other
    for reached, target in ((one, other), (other, one)):
        found = validation_curves.crossing(np.array([0.1, reached]), target, kept)
        assert found.after == 1 and found.share == pytest.approx(1.0) and found.share <= 1


@pytest.mark.parametrize(
    ("accuracies", "target", "steps"),
    [
        ([0.1, 0.4, 0.8], 0.4, 10),
        ([0.1, 0.4, 0.8], 0.8, 20),
        ([0.1, 0.4, 0.8], 0.1, 0),
        ([0.1, 0.4, 0.8], 0.05, 0),
        ([0.2, 0.4, 0.1, 0.5], 0.3, 5),  # half way from 0.2 to 0.4; that the curve falls again does not matter
    ],
)
def test_first_reach(accuracies, target, steps):
    assert validation_curves.first_reach(curve(accuracies), target).steps == pytest.approx(steps)
    assert validation_curves.first_reach(curve(accuracies), 0.81) is None


@pytest.mark.parametrize(
    ("steps", "per_step_saved", "steps_saved", "total_saved"),
    [  # DOTS + RR (arXiv 2506.05316), Table 1: steps of GRPO's 60; time per step, steps, and total saved in %
        (50, 11.71, 16.67, 26.25),
        (34, 11.69, 43.33, 49.85),
        (52, 11.66, 13.33, 23.30),
        (44, 11.52, 26.67, 35.10),
        (26, 11.35, 56.67, 61.65),
        (36, 13.39, 40.00, 48.03),
    ],
)
def test_savings_reproduce_the_published_totals(steps, per_step_saved, steps_saved, total_saved):
    method = Reach(steps, 0.0, (100.0 - per_step_saved) * steps, 250.0)
    saved = validation_curves.savings(method, Reach(60, 0.0, 6000.0, 1000.0))
    assert 100 * saved.steps == pytest.approx(steps_saved, abs=0.005)
    assert 100 * saved.seconds_per_step == pytest.approx(per_step_saved, abs=1e-9)
    assert 100 * saved.total == pytest.approx(total_saved, abs=0.2)
    assert saved.tokens == 0.75
    assert saved.total == pytest.approx(1 - (1 - saved.steps) * (1 - saved.seconds_per_step), abs=1e-12)


def test_savings_can_be_negative_or_undefined():
    saved = validation_curves.savings(Reach(20, 0, 60, 30), Reach(10, 0, 20, 20))
    assert (saved.steps, saved.seconds_per_step, saved.total, saved.tokens) == (-1.0, -0.5, -2.0, -0.5)
    assert validation_curves.savings(None, Reach(10, 0, 20, 20)) is None
    assert validation_curves.savings(Reach(10, 0, 20, 20), None) is None
    at_start = validation_curves.savings(Reach(0, 0, 0, 0), Reach(10, 0, 20, 20))
    assert (at_start.steps, at_start.total) == (1.0, 1.0) and math.isnan(at_start.seconds_per_step)
    assert math.isnan(validation_curves.savings(Reach(5, 0, 9, 9), Reach(0, 0, 0, 0)).steps)


def test_mean_curve_uses_the_steps_all_seeds_share():
    curves = [curve([0.1, 0.3, 0.9]), curve([0.2, 0.9, 0.5], [0, 5, 10], seconds=4.0)]
    mean = validation_curves.mean_curve(curves)
    assert mean.step_E.tolist() == [0, 10]
    np.testing.assert_allclose(mean.accuracy_E, [0.15, 0.4])
    assert mean.train_seconds_E.tolist() == [0.0, 30.0]
    with pytest.raises(ValueError, match="share no validation step"):
        validation_curves.mean_curve([curve([0.1]), curve([0.1], [5])])


@pytest.mark.parametrize(
    ("accuracies", "kept", "tolerance", "expected"),
    [
        # 0.4 is half of the way from 0.3 to 0.5; of the later ones 0.35 is the least.
        ([0.1, 0.3, 0.5, 0.35, 0.6], False, 0.0, (1, 2, 0.5)),
        ([0.1, 0.3, 0.5, 0.35, 0.6], True, 0.0, (3, 4, 0.2)),
        ([0.1, 0.3, 0.5, 0.35, 0.6], True, 0.06, (1, 2, 0.5)),
        # What falls by little below the target, and what never comes back.
        ([0.1, 0.5, 0.6, 0.39], False, 0.0, (0, 1, 0.75)),
        ([0.1, 0.5, 0.6, 0.39], True, 0.0, None),
        ([0.1, 0.5, 0.6, 0.39], True, 0.02, (0, 1, 0.75)),
        # A validation within the tolerance alone is not at the target.
        ([0.1, 0.39, 0.5], True, 0.02, (1, 2, 1 / 11)),
        ([0.1, 0.39], True, 0.02, None),
        ([0.1, 0.4], True, 0.0, (0, 1, 1.0)),
        ([0.4, 0.4], True, 0.0, (0, 0, 0.0)),
        ([0.5], True, 0.0, (0, 0, 0.0)),
        ([0.3], False, 0.0, None),
    ],
)
def test_where_a_target_is_reached_and_where_it_is_kept(accuracies, kept, tolerance, expected):
    found = validation_curves.crossing(np.array(accuracies), 0.4, kept, tolerance)
    assert (found is None) == (expected is None)
    if found is not None:
        assert (found.before, found.after) == expected[:2] and found.share == pytest.approx(expected[2])


def test_no_target_is_never_reached():
    assert validation_curves.crossing(np.array([0.1, 0.5]), math.nan) is None
    assert validation_curves.crossing(np.array([0.1, 0.5]), math.nan, kept=True) is None


def test_a_cost_at_a_crossing_is_between_those_of_its_validations():
    found = validation_curves.crossing(np.array([0.0, 0.2, 0.6]), 0.5)
    assert found.of(np.array([0.0, 10.0, 20.0])) == pytest.approx(17.5)
    assert math.isnan(found.of(np.array([0.0, math.nan, 20.0])))
