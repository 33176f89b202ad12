import pytest

from verl_dots.rewards import exact


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("40 + 2 = 42 #### 42", "42"),
        ("#### 41 no, #### 42", "42"),
        ("####42.", "42"),
        ("####  42 . ", "42"),
        ("####", ""),
        ("42 ####", ""),
        ("#### -7.", "-7"),
        ("#### 42 apples", "42 apples"),
        ("#### 42\nand more", "42\nand more"),
        ("42", None),
        ("### 42", None),
        ("", None),
    ],
)
def test_final_answer(response, answer):
    assert exact.final_answer(response) == answer


@pytest.mark.parametrize(
    ("response", "ground_truth", "score"),
    [
        ("#### 42", "42", 1.0),
        ("#### 42", " 42 ", 1.0),
        ("#### 42", "43", 0.0),
        ("#### 42.0", "42", 0.0),
        ("#### 042", "42", 0.0),
        ("####", "", 0.0),
    ],
)
def test_score(response, ground_truth, score):
    assert exact.score(response, ground_truth) == score


def test_a_minus_sign_is_a_hyphen():
    assert exact.score("#### −7", "-7") == exact.score("#### -7", "−7") == 1.0
