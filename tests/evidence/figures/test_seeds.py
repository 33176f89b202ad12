"""Lines over seeds."""

import numpy as np
import pandas as pd
import pytest

from tests.evidence.figures.conftest import rows
from verl_dots.evidence.figures.seeds import over_seeds, trailing

NAN = np.nan


def seeds(*values, **more):
    """Rows of one seed for each list of values, from step 0 on; None is nan."""
    return pd.concat([
        rows(seed=seed, steps=len(of) - 1, metric=lambda step, of=of: of[step], **more)
        for seed, of in enumerate(values, start=1)
    ])  # fmt: skip


def equal(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_line_is_the_mean_over_seeds_with_the_least_and_the_greatest():
    line = over_seeds(seeds([1, 2, 3], [3, 2, 7], [2, 5, 2]), "metric")
    equal(line.x_E, [0, 1, 2])
    equal(line.mean_E, [2, 3, 4])
    equal(line.low_E, [1, 2, 2])
    equal(line.high_E, [3, 5, 7])
    assert line.seeds == 3


def test_one_seed_is_its_own_least_and_greatest():
    line = over_seeds(seeds([1, 2]), "metric")
    equal([line.mean_E, line.low_E, line.high_E], [[1, 2]] * 3)
    assert line.seeds == 1


def test_only_steps_that_all_seeds_have_count_and_a_seed_without_the_metric_does_not():
    line = over_seeds(seeds([1, 2, 3, 4], [3, 4], [None] * 4), "metric")
    equal(line.x_E, [0, 1])
    equal(line.mean_E, [2, 3])
    assert line.seeds == 2
    assert over_seeds(seeds([1, None], [None, 1]), "metric") is None


def test_a_line_is_broken_where_steps_are_missing_and_no_mean_goes_across():
    line = over_seeds(seeds([2, 4, 6, None, 8, 12]), "metric", window=2)
    equal(line.x_E, [0, 1, 2, NAN, 4, 5])
    equal(line.mean_E, [2, 3, 5, NAN, 8, 10])  # 8 is alone behind the break


def test_steps_that_had_nothing_to_measure_are_left_out_of_a_mean_and_break_no_line():
    line = over_seeds(seeds([2, None, 4, None, None, 8], [2, 2, 4, 4, 4, 8]), "metric", window=2, now_and_then=True)
    equal(line.x_E, [0, 1, 2, 3, NAN, 5])  # at 4 the first seed had none of two steps
    equal(line.low_E, [2, 2, 3, 4, NAN, 6])
    equal(line.high_E, [2, 2, 4, 4, NAN, 8])


def test_what_is_measured_at_even_distances_is_not_broken_and_the_last_may_come_early():
    line = over_seeds(seeds([1, None, None, 2, None, None, 3, 4]), "metric")
    equal(line.x_E, [0, 3, 6, 7])
    line = over_seeds(seeds([1, None, 2, None, 3, None, None, None, 4, None, 5]), "metric")  # one validation is lost
    equal(line.x_E, [0, 2, 4, NAN, 8, 10])


def test_costs_are_means_over_seeds_and_a_line_without_any_is_none():
    one = seeds([1, 2], [1, 2])
    one.loc[one["seed"] == 2, "generated_tokens"] *= 3
    equal(over_seeds(one, "metric", "generated_tokens").x_E, [0, 200])
    one["generated_tokens"] = NAN
    assert over_seeds(one, "metric", "generated_tokens") is None
    assert over_seeds(one, "other") is None and over_seeds(one, "metric", "other") is None


@pytest.mark.parametrize(("share", "steps", "expected"), [(0.1, 60, 6), (0.1, 4, 1), (0.0, 60, 1)])
def test_a_trailing_mean_takes_a_share_of_the_steps(share, steps, expected):
    assert trailing(share, rows(steps=steps)) == expected
