import numpy as np
import pytest

from verl_dots.difficulty.agreement import calibration_error, pearson
from verl_dots.difficulty.prediction_scores import off_the_shelf, reference_draws, ridge, score_draws


def test_draws_part_the_questions_and_repeat_by_seed():
    draws = list(reference_draws(10, 3, 2, seed=0))
    assert all(sorted([*known, *asked]) == list(range(10)) and len(known) == 3 for known, asked in draws)
    assert not np.array_equal(draws[0][0], draws[1][0])
    assert np.array_equal(draws[1][0], list(reference_draws(10, 3, 2, seed=0))[1][0])
    with pytest.raises(ValueError, match="allowed are 1 to 8"):
        next(reference_draws(10, 9, 1, seed=0))


def test_a_constant_prediction_counts_as_no_correlation():
    found = score_draws(lambda known, asked: np.full(len(asked), 0.5), np.linspace(0, 1, 20), references=4, draws=2)
    assert found["rho"] == [0.0, 0.0]


def test_off_the_shelf_attention_by_hand():
    # d = 4: scores ln 3 and 0 -> 0.75 * 0.8 + 0.25 * 0.4
    embedding = np.array([[2.0, 0, 0, 0], [1.0986123, 0, 0, 0], [0, 5.0, 0, 0]])
    predict = off_the_shelf(embedding, np.array([9.0, 0.8, 0.4]))
    assert predict(np.array([1, 2]), np.array([0])) == pytest.approx([0.7])


def test_ridge_by_hand():
    # standardised x = (-1, 1), centred y = (-1, 1): weight 2 / (2 + 2) = 1/2; at x = 3 (standardised 2): 1 + 1 = 2
    predict = ridge(np.array([[0.0], [2.0]]), np.array([0.0, 2.0]), penalty=2.0)
    assert predict(np.array([[3.0]])) == pytest.approx([2.0])


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
