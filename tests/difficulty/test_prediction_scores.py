import numpy as np
import pytest

from verl_dots.difficulty.agreement import (
    calibration_error,
    pearson,
    pearson_interval,
    uniform_pearson,
    weighted_pearson,
)
from verl_dots.difficulty.baselines import ridge
from verl_dots.difficulty.prediction_scores import (
    effective_among_chosen,
    off_the_shelf,
    reference_draws,
    score_draws,
    truth,
)


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


def test_weighted_pearson_by_hand():
    predicted, measured = np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 1.0])
    # Alike: as pearson, 1/2. Without the last question a line. Weights 1, 2, 1: means 1 and 5/4, covariance
    # (0 + 4 + 2)/4 - 5/4 = 1/4, variances 1/2 and 9/4 - 25/16 = 11/16: 1/4 / sqrt(11/32)
    found = weighted_pearson(predicted, measured, np.array([[1.0, 1, 1], [1, 1, 0], [1, 2, 1], [1, 0, 0]]))
    assert found[:3] == pytest.approx([0.5, 1.0, 0.25 / np.sqrt(11 / 32)]) and np.isnan(found[3])


def test_uniform_pearson_does_not_depend_on_how_often_a_difficulty_occurs():
    predicted, measured = np.array([0.2, 0.6, 0.5]), np.array([0.05, 0.55, 0.95])
    often = np.array([0, 0, 0, 0, 1, 2, 2])
    assert uniform_pearson(predicted[often], measured[often]) == pytest.approx(pearson(predicted, measured))
    assert pearson(predicted[often], measured[often]) != pytest.approx(pearson(predicted, measured), abs=0.05)


def test_the_bootstrap_interval_is_about_as_wide_as_theory_says():
    # Fisher: of 2,000 pairs with rho 1/2 the standard error is (1 - 1/4) / sqrt(2000) = .0168, the interval .066 wide.
    rng = np.random.default_rng(0)
    first, noise = rng.normal(size=(2, 2000))
    second = first + np.sqrt(3) * noise
    low, high = pearson_interval(first, second, rng)
    assert low < pearson(first, second) < high and high - low == pytest.approx(0.066, rel=0.2)


def test_effective_share_by_hand():
    # 8 tries: at 0.5 1 - 2/256 = .9921875, at 0 and 1 nothing, at 1/4 1 - .75^8 - .25^8 = .8998718
    measured = np.array([0.5, 0.0, 0.25, 1.0])
    assert effective_among_chosen(np.array([4.0, 3, 2, 1]), measured, chosen=1) == pytest.approx(0.9921875)
    assert effective_among_chosen(np.array([1.0, 3, 2, 0]), measured, chosen=2) == pytest.approx(0.8998718 / 2)
    found = truth(measured)
    assert (found["questions"], found["at_0"], found["at_1"]) == (4, 0.25, 0.25)
    assert found["effective_random"] == pytest.approx((0.9921875 + 0.8998718) / 4)


def test_scores_of_perfect_and_of_shifted_predictions():
    difficulty = np.tile(np.linspace(0, 1, 21), 30)
    perfect = score_draws(lambda known, asked: difficulty[asked], difficulty, references=20, draws=2)
    assert perfect["rho"] == pytest.approx([1, 1]) == perfect["rho_low"] and perfect["bias"] == [0, 0]
    assert np.isnan(perfect["effective"]).all() and len(perfect["effective_nearest"]) == 2
    both = score_draws(
        lambda known, asked: np.stack([difficulty[asked] + 0.1, np.abs(difficulty[asked] - 0.5)], 1),
        difficulty, references=20, draws=2,
    )  # fmt: skip
    assert both["bias"] == pytest.approx([0.1, 0.1])
    # The second column says the opposite of the truth, so that it chooses the worst.
    assert both["effective"][0] < np.mean(1 - difficulty**8 - (1 - difficulty) ** 8) < both["effective_nearest"][0]
