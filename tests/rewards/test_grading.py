"""Reading answers: which text counts as the answer, before any mathematics."""

import pytest

from verl_dots.rewards import grading
from verl_dots.rewards.final_answer import last_boxed


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{x = \boxed{3}}", "3"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ 1 \right.}", r"\left\{ 1 \right."),
        (r"\boxed{1} and then \boxed{\frac{1", "1"),
        (r"\boxed{", None),
        (r"\boxed{}", ""),
        ("42", None),
    ],
)
def test_last_boxed(text, content):
    assert last_boxed(text) == content


def test_a_ground_truth_that_holds_nothing_is_reported():
    assert grading.grade(r"\boxed{1}", "") is grading.Verdict.UNREADABLE_GROUND_TRUTH
