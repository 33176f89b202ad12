"""The check of the savings of time: seconds to a target by hand."""

import math

import pytest

from tests.evidence.hand import evidence, run
from verl_dots.evidence.measures import cost_column, ratio_column, saved_column
from verl_dots.evidence.measuring import measure
from verl_dots.evidence.totals import ratio_of_seconds, require_totals

GRPO, DOTS = run({0: 0.2, 10: 0.4, 20: 0.6}), run({0: 0.2, 10: 0.8}, seconds=3.0)
PAIRS = {("c", "grpo", 1): [(2.0, 2.0)], ("c", "dots", 1): [(3.0, 2.0)]}
TOTAL, STEPS = saved_column("time"), saved_column("steps")


@pytest.fixture
def table():
    """The accuracy of 0.6 costs GRPO 20 steps of 2 s, and DOTS 20/3 of 3 s: half of the time."""
    return measure(evidence({("grpo", 1): GRPO, ("dots", 1): DOTS}), smoothing="none").by_seed


def test_seconds_to_a_target_over_the_baselines():
    assert ratio_of_seconds(20, 30, [(3.0, 4.0)]) == 0.5
    # In the second round both took twice as long, but for a third less of the method's.
    assert ratio_of_seconds(20, 30, [(3.0, 4.0), (4.0, 8.0)]) == pytest.approx((1 / 2 + 1 / 3) / 2)
    for unknown in ((math.nan, 30, [(3.0, 4.0)]), (20, 0, [(3.0, 4.0)]), (20, 30, [])):
        assert math.isnan(ratio_of_seconds(*unknown))


def test_a_total_that_is_not_made_up_of_its_parts_is_refused(table):
    require_totals(table, PAIRS)
    assert table[TOTAL].tolist() == pytest.approx([0, 0.5])
    for column, change in ((TOTAL, 1e-6), ("saved_per_step", 1e-6), (ratio_column(50, "first"), 1e-6), (STEPS, 1e-6)):
        wrong = table.copy()
        wrong.loc[1, column] += change
        with pytest.raises(ArithmeticError, match="c/dots/1: saved_time_"):
            require_totals(wrong, PAIRS)
    missing = table.copy()
    missing.loc[1, TOTAL] = math.nan
    with pytest.raises(ArithmeticError):
        require_totals(missing, PAIRS)


def test_a_formula_that_agrees_with_itself_and_not_with_the_seconds_is_refused(table):
    """A saving of steps that forgets a step, in the total as well: the parts make up the total, and all are wrong."""
    wrong = table.copy()
    steps = wrong.loc[1, cost_column("steps")] + 1
    wrong.loc[1, STEPS] = 1 - steps / 20
    wrong.loc[1, ratio_column()] = steps / 20 * 1.5
    wrong.loc[1, TOTAL] = 1 - steps / 20 * 1.5
    with pytest.raises(ArithmeticError, match=r"make the ratio 0\.(5|49999)"):
        require_totals(wrong, PAIRS)


def test_the_seconds_of_the_pairs_are_what_totals_are_held_against(table):
    with pytest.raises(ArithmeticError, match="c/dots/1"):
        require_totals(table, PAIRS | {("c", "dots", 1): [(3.0, 2.1)]})
    with pytest.raises(ArithmeticError, match="c/dots/1"):
        require_totals(table, {("c", "grpo", 1): [(2.0, 2.0)]})
