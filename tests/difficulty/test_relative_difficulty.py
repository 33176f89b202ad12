import numpy as np
import pytest

from verl_dots.difficulty.relative_difficulty import relative_difficulty

NAN = float("nan")


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def test_one_labellers_difficulties_are_left_as_they_are():
    difficulty = np.array([[0.0, 0.3, 1.0]])
    assert np.array_equal(relative_difficulty(difficulty), difficulty[0])


def test_where_all_were_asked_everything_it_is_the_mean_of_the_logits():
    # logits ln 3 and -ln 3, ln 9 and 0: means 0 and ln 3 = logit 0.75
    np.testing.assert_allclose(relative_difficulty(np.array([[0.75, 0.9], [0.25, 0.5]])), [0.5, 0.75])


def test_a_question_that_only_the_weak_one_was_asked_is_not_taken_for_a_hard_one():
    question, level = np.array([-1.0, 0.0, 1.0, 0.5]), np.array([[1.0], [-1.0]])
    difficulty = sigmoid(question + level)
    difficulty[0, 2] = difficulty[1, 3] = NAN
    np.testing.assert_allclose(relative_difficulty(difficulty), sigmoid(question))


def test_labellers_without_a_common_question_are_of_one_level():
    found = relative_difficulty(np.array([[0.9, 0.8, NAN, NAN], [NAN, NAN, 0.1, 0.3]]))
    np.testing.assert_allclose(found, [0.9, 0.8, 0.1, 0.3])


def test_always_and_never_count_as_02_and_98_percent():
    np.testing.assert_allclose(relative_difficulty(np.array([[1.0, 0.0], [1.0, 0.0]])), [0.98, 0.02])


def test_a_question_without_labels_is_refused():
    with pytest.raises(ValueError, match=r"1 questions have no label, at \[1\]"):
        relative_difficulty(np.array([[0.5, NAN], [0.5, NAN]]))


@pytest.mark.parametrize("labellers", [2, 3, 7])
def test_rounding_over_many_questions_moves_no_level(labellers):
    # Thirds and sevenths have no exact sum; the level that no label decides must stay 0 all the same.
    question = np.linspace(-2, 2, 3001)
    level = np.linspace(-1, 1, labellers)[:, None]
    found = relative_difficulty(sigmoid(question + level).astype(np.float32))
    np.testing.assert_allclose(found, sigmoid(question), rtol=1e-5)
