"""Mathematical equality and its time limit."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from verl_dots.rewards import grading, mathematics, problems


@pytest.mark.parametrize(
    ("response", "ground_truth", "score"),
    [
        (r"so \boxed{42}", "42", 1.0),
        (r"\boxed{\dfrac{6}{4}}", r"$\frac{3}{2}$", 1.0),
        (r"\boxed{1} is wrong, it is \boxed{2}", r"\boxed{2}", 1.0),
        ("Thus the final answer is $\\frac{3}{4}$.", "0.75", 1.0),
        ("We get 12 and then 13.", "13", 1.0),
        (r"\boxed{43}", "42", 0.0),
        (r"\boxed{1/0}", "12", 0.0),
        pytest.param(r"\boxed{" + "(" * 1500 + "1" + ")" * 1500 + "}", "2", 0.0, id="deep nesting"),
        (r"\boxed{}", "42", 0.0),
        ("I do not know", "42", 0.0),
        ("  \n", "42", 0.0),
    ],
)
def test_answers_are_compared_by_value(response, ground_truth, score):
    assert mathematics.score(response, ground_truth) == score


# The sine of it needs pi to four million digits; what is beyond all reach is wrong at once.
ENDLESS = r"\sin(10^{4000000})"


@pytest.mark.parametrize("answer", [r"9^{9^{9^{9}}}", r"((100000!)!)!", r"\binom{10^{9}}{10^{8}}", r"2^{10^{10}}"])
def test_an_answer_out_of_reach_is_wrong_without_a_fight(answer, caplog):
    with caplog.at_level(logging.WARNING):
        assert mathematics.score(rf"\boxed{{{answer}}}", "9", timeout_seconds=20.0) == 0.0
    assert not caplog.text


def test_an_answer_that_never_ends_is_wrong_at_the_limit(caplog):
    mathematics.score(r"\boxed{1}", "2")  # the workers run
    start = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert mathematics.score(rf"\boxed{{{ENDLESS}}}", "9", timeout_seconds=1.0) == 0.0
    assert 0.9 < time.monotonic() - start < 15
    assert "took longer than 1 s" in caplog.text
    assert mathematics.score(r"\boxed{\frac12}", "0.5") == 1.0


def test_many_threads_some_with_endless_answers():
    def score(index: int) -> float:
        if index % 16 == 3:
            return mathematics.score(rf"\boxed{{{ENDLESS}}}", "9", timeout_seconds=1.0)
        return mathematics.score(rf"\boxed{{\frac{{{2 * index + 1}}}{{2}}}}", f"{index}.5")

    with ThreadPoolExecutor(16) as threads:
        scores = list(threads.map(score, range(32)))
    assert scores == [0.0 if index in (3, 19) else 1.0 for index in range(32)]


def test_only_the_tail_of_a_long_response_is_read():
    filler = "x" * 5000
    assert mathematics.score(filler + r"\boxed{\frac12}", "0.5") == 1.0
    assert mathematics.score(r"\boxed{\frac12}" + filler, "0.5") == 0.0


@pytest.mark.parametrize("digit", ["1", "x"])
def test_a_ground_truth_whose_box_no_tail_holds_is_a_problem(digit):
    longest = digit * mathematics.MOST_CHARACTERS
    assert mathematics.score(rf"so \boxed{{{longest}}}", longest) == 1.0
    assert mathematics.score(rf"so \boxed{{{digit * 4400}}}", digit * 4400) == 0.0
    kind, message = mathematics.answer_problem(longest + digit)
    assert kind == problems.UNREADABLE and "4,089 characters" in message
    assert mathematics.answer_problem("1" * mathematics.MOST_CHARACTERS) is None


def test_the_same_text_is_right_without_a_worker(monkeypatch):
    monkeypatch.setattr(mathematics, "_pool", None)  # calling it would fail
    assert mathematics.score(r"\boxed{9^{9^{9^{9}}}}", "$9^{9^{9^{9}}}$") == 1.0


def test_an_unreadable_ground_truth_is_logged(caplog):
    with caplog.at_level(logging.WARNING):
        assert mathematics.score(r"\boxed{1}", "") == 0.0
    assert "Ground truth '' cannot be read" in caplog.text
    assert grading.grade(r"\boxed{1}", "") is grading.Verdict.UNREADABLE_GROUND_TRUTH


@pytest.mark.parametrize("text", ["?", "!", "'", "()", "[]", "-", "$", r"\text{}", r"\,", "**", ".", "{}"])
def test_a_ground_truth_without_content_equals_nothing(text):
    assert grading.grade(r"\boxed{!}", text) is grading.Verdict.UNREADABLE_GROUND_TRUTH
    assert mathematics.score(rf"\boxed{{{text}}}", text) == 0.0


def test_there_must_be_a_worker():
    with pytest.raises(ValueError, match="workers is 0"):
        mathematics.score(r"\boxed{1}", "2", workers=0)


@pytest.mark.parametrize("piece", [" mod ", "km/h", "x_1", r"\%", ", ", "1aand", r"k\in\mathbb{Z},", "x=1,"])
def test_a_long_answer_of_one_piece_over_and_over_is_words(piece):
    """A product of thousands of letters is a tree too deep to walk; patterns with two blanks in a row take hours."""
    assert grading.grade("\\boxed{" + (piece * 4000)[:4000] + "x}", "5") is grading.Verdict.WRONG
