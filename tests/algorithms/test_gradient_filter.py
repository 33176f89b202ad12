import numpy as np
import pytest

from verl_dots.algorithms.gradient_filter import kept

ADVANTAGE = np.array([0.0, -0.1, 0.1, 0.5, -0.7, 0.05])


def test_an_absolute_threshold():
    assert kept(ADVANTAGE, 0.1).tolist() == [False, False, False, True, True, False]
    assert kept(ADVANTAGE, 0.0).tolist() == [False, True, True, True, True, True]
    assert not kept(np.zeros(4), 0.0).any()


def test_a_quantile_takes_rows_of_equal_size_along():
    assert kept(ADVANTAGE, 0.5, "quantile").tolist() == [False, False, False, True, True, False]
    assert kept(ADVANTAGE, 0.34, "quantile").tolist() == [False, True, True, True, True, False]
    assert kept(ADVANTAGE, 0.0, "quantile").all()


@pytest.mark.parametrize(
    "threshold, kind, words",
    [(-0.1, "absolute", "threshold=-0.1"), (1.0, "quantile", "below 1 as a quantile"), (0.1, "relative", "one of")],
)
def test_thresholds_out_of_range(threshold, kind, words):
    with pytest.raises(ValueError, match=words):
        kept(ADVANTAGE, threshold, kind)
    with pytest.raises(ValueError, match="1 advantages are not finite"):
        kept(np.array([0.1, np.nan]), 0.1)
