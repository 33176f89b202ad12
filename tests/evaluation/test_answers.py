"""Final answers out of responses; the grader runs in its real worker processes."""

from contextlib import closing

import pytest

from verl_dots.evaluation.answers import AnswerReader, compares, normalised, votes
from verl_dots.rewards.compute import SCORERS


@pytest.fixture(scope="module")
def reader():
    with closing(AnswerReader(workers=1)) as reader:
        yield reader


@pytest.mark.parametrize(
    "source, response, answer",
    [
        ("arithmetic", "40 + 2 #### 42.", "42"),
        ("arithmetic", r"\boxed{42}", None),  # graded by its marker alone
        ("arithmetic", "so ####", None),
        ("math500", r"so \boxed{\frac{1}{2}} and then \boxed{ 3 }", "3"),
        ("math500", "Adding 3 and 4 gives 7.", "7"),  # the last number of what has no box
        ("math500", "The final answer is $7$. I hope it is correct.", "7"),
        ("math500", r"so \boxed{3} and \boxed{5}.", "3, 5"),  # one list
        ("minerva", "Answer: 4.5e33", "4.5e33"),
        ("math500", "no idea", None),
        ("math500", "", None),
        ("openai/gsm8k", "so 1,000 #### 1,200", "1200"),  # as verl reads it
        ("openai/gsm8k", r"so \boxed{42}", None),
        ("code", r"print(\boxed{8})", "8"),
        ("code", "return 8", None),  # nobody knows what would be its answer
    ],
)
def test_the_answer_is_read_as_the_reward_reads_it(reader, source, response, answer):
    assert reader.read(source, response) == answer


def test_equal_answers_however_they_are_written(reader):
    assert reader.same(r"\frac{1}{2}", "0.5")
    assert reader.same("(1,2)", "$(1, 2)$")
    assert not reader.same("0.5", "0.51")
    assert not reader.same("x+1", "x+2")


def test_an_answer_that_takes_too_long_differs():
    with closing(AnswerReader(workers=1, timeout_seconds=0.5)) as reader:
        assert not reader.same("9^{9^{9^{9}}}", "9^{9^{9^{8}}}")


def test_votes_do_not_differ_by_dollars_and_spaces():
    assert normalised(" $1 / 2$ ") == normalised("1  / 2") == normalised(r"\(1 / 2\)")
    assert normalised("1/2") != normalised("0.5")
    assert normalised(None) is None


def test_exact_answers_are_never_equal_to_others():
    assert compares("math500")
    assert not compares("arithmetic") and not compares("openai/gsm8k")


def test_answers_vote_only_where_they_are_those_that_the_reward_reads(monkeypatch):
    assert votes("math500") and votes("arithmetic") and votes("openai/gsm8k")
    assert not votes("apps") and not votes("math_dapo") and not votes("riddles")
    monkeypatch.setitem(SCORERS, "riddles", lambda response, ground_truth, options: 1.0)
    assert not votes("riddles")
    monkeypatch.setitem(SCORERS, "riddles", SCORERS["math"])
    assert votes("riddles")
