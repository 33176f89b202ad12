"""Mathematical equality and its time limit."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from verl_dots.rewards import grading, mathematics


@pytest.fixture(scope="module", autouse=True)
def _stop_workers_afterwards():
    yield
    mathematics.close()


RIGHT = [
    (r"so \boxed{42}", "42"),
    (r"\boxed{0.5}", r"\frac{1}{2}"),
    (r"\boxed{\frac{1}{2}}", "0.5"),
    (r"\boxed{\frac12}", "1/2"),
    (r"\boxed{\dfrac{6}{4}}", r"$\frac{3}{2}$"),
    (r"\boxed{3\frac{1}{2}}", "7/2"),
    (r"\boxed{\sqrt{12}}", r"2\sqrt{3}"),
    (r"\boxed{(x+1)^2}", "x^2+2x+1"),
    (r"\boxed{x = 5}", "5"),
    (r"\boxed{\{2, 1\}}", r"\{1,2\}"),
    (r"\boxed{[1, 2)}", "[1,2)"),
    (r"\boxed{(-\infty, 3) \cup (3, \infty)}", r"(-\infty,3)\cup(3,\infty)"),
    (r"\boxed{50\%}", "50"),
    (r"\boxed{50\%}", r"50\%"),
    (r"\boxed{10\text{ cm}}", "10"),
    (r"\boxed{\$1,000}", "1000"),
    (r"\boxed{90^\circ}", "90"),
    (r"\boxed{\text{Tuesday}}", "Tuesday"),
    (r"\boxed{1} is wrong, it is \boxed{2}", r"\boxed{2}"),
    ("Thus the final answer is $\\frac{3}{4}$.", "0.75"),
    ("We get 12 and then 13.", "13"),
]

WRONG = [
    (r"\boxed{43}", "42"),
    (r"\boxed{-3}", "3"),
    (r"\boxed{0.51}", r"\frac{1}{2}"),
    (r"\boxed{[1, 2]}", "[1,2)"),
    (r"\boxed{\{1, 3\}}", r"\{1,2\}"),
    (r"\boxed{(2, 1)}", "(1,2)"),
    (r"\boxed{0.5}", "50"),
    (r"\boxed{3.14}", r"\pi"),
    (r"\boxed{2} is wrong, it is \boxed{1}", "2"),
    (r"\boxed{1/0}", "12"),
    (r"\boxed{}", "42"),
    ("I do not know", "42"),
    ("", "42"),
    ("  \n", "42"),
]


@pytest.mark.parametrize(("response", "ground_truth"), RIGHT)
def test_right_answers(response, ground_truth):
    assert mathematics.score(response, ground_truth) == 1.0


@pytest.mark.parametrize(("response", "ground_truth"), WRONG)
def test_wrong_answers(response, ground_truth):
    assert mathematics.score(response, ground_truth) == 0.0


# The sine of it needs pi to four million digits; what is beyond all reach is wrong at once.
ENDLESS = r"\sin(10^{4000000})"


@pytest.mark.parametrize("answer", [r"9^{9^{9^{9}}}", r"((100000!)!)!", r"\binom{10^{9}}{10^{8}}", r"2^{10^{10}}"])
def test_an_answer_out_of_reach_is_wrong_without_a_fight(answer, caplog):
    with caplog.at_level(logging.WARNING):
        assert mathematics.score(rf"\boxed{{{answer}}}", "9", timeout_seconds=20.0) == 0.0
    assert not caplog.text


@pytest.mark.parametrize("answer", [ENDLESS])
def test_an_answer_that_never_ends_is_wrong_at_the_limit(answer, caplog):
    mathematics.score(r"\boxed{1}", "2")  # the workers run
    start = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert mathematics.score(rf"\boxed{{{answer}}}", "9", timeout_seconds=1.0) == 0.0
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


def test_deep_nesting_is_wrong_not_a_crash():
    assert mathematics.score(r"\boxed{" + "(" * 1500 + "1" + ")" * 1500 + "}", "2", timeout_seconds=1.0) == 0.0


def test_only_the_tail_of_a_long_response_is_read():
    filler = "x" * 5000
    assert mathematics.score(filler + r"\boxed{\frac12}", "0.5") == 1.0
    assert mathematics.score(r"\boxed{\frac12}" + filler, "0.5") == 0.0


def test_the_same_text_is_right_without_a_worker(monkeypatch):
    monkeypatch.setattr(mathematics, "_pool", None)  # calling it would fail
    assert mathematics.score(r"\boxed{9^{9^{9^{9}}}}", "$9^{9^{9^{9}}}$") == 1.0


def test_an_unreadable_ground_truth_is_logged(caplog):
    with caplog.at_level(logging.WARNING):
        assert mathematics.score(r"\boxed{1}", "") == 0.0
    assert "Ground truth '' cannot be read" in caplog.text


def test_settings_are_checked():
    with pytest.raises(ValueError, match="limit_seconds is -1"):
        mathematics.score(r"\boxed{1}", "2", timeout_seconds=-1)
    with pytest.raises(ValueError, match="workers is 0"):
        mathematics.score(r"\boxed{1}", "2", workers=0)


def test_grade_alone_agrees():
    assert grading.grade(r"\boxed{\frac12}", "0.5") is grading.Verdict.CORRECT
    assert grading.grade(r"\boxed{\frac13}", "0.5") is grading.Verdict.WRONG
