import numpy as np
import pytest

from verl_dots.difficulty.agreement import calibration_error, pearson


def test_pearson_by_hand():
    # deviations (-1, 0, 1) and (-1, 1, 0): 1 / sqrt(2 * 2)
    assert pearson(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 1.0])) == pytest.approx(0.5)
    assert pearson(np.array([0.0, 1.0]), np.array([5.0, -3.0])) == pytest.approx(-1.0)


@pytest.mark.parametrize("row", [[0.1, 0.1, 0.1], [0.3, 0.3 + 1e-16, 0.3]])
def test_pearson_of_a_constant_row_is_undefined(row):
    assert np.isnan(pearson(np.array(row), np.array([0.0, 0.5, 1.0])))
    assert np.isnan(pearson(np.array([1.0]), np.array([1.0])))


def test_calibration_error_by_hand():
    # bins [0.1, 0.12] and [0.55]: gaps |0.22 - 0.5| and |0.55 - 0.25|, over 3 questions
    predicted, measured = np.array([0.1, 0.55, 0.12]), np.array([0.5, 0.25, 0.0])
    assert calibration_error(predicted, measured) == pytest.approx((0.28 + 0.30) / 3)
    # over- and underestimates of one bin cancel
    assert calibration_error(np.array([0.52, 0.52]), np.array([0.04, 1.0])) == pytest.approx(0.0)


def test_calibration_error_at_the_ends():
    assert calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0.0
    assert np.isnan(calibration_error(np.empty(0), np.empty(0)))


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="2 predictions for 3 measurements"):
        pearson(np.zeros(2), np.zeros(3))
