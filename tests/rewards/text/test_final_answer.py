"""Where the answer stands in a response."""

import pytest

from verl_dots.rewards.text.final_answer import bare, boxed_answer, final_answer, last_boxed, without_thoughts


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{1} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{x = \boxed{3}}", "3"),
        (r"\boxed{\left\{ 1 \right.}", r"\left\{ 1 \right."),
        (r"\boxed{1} and then \boxed{\frac{1", "1"),
        (r"\boxed{", None),
        ("42", None),
    ],
)
def test_the_last_box(text, content):
    assert last_boxed(text) == content


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"$x=\boxed{3}$, $y=\boxed{4}$", "3, 4"),
        (r"\boxed{3} or \boxed{5}", r"3 \text{or} 5"),
        (r"\boxed{3}, and therefore \boxed{5}", "5"),
        (r"\boxed{4} hmm no. \boxed{}", ""),
        (r"Answer: \$13", r"\$13"),
        ("The answers are $3$ and $5$.", "3, 5"),
        (r"The answer is $4.5 \times 10^{33}$ erg/s.", r"4.5 \times 10^{33}"),
        ("We get 12, then $x = 13$.", "x = 13"),
        ("We get $x = 12$, so 13.", "13"),
        ("no idea", ""),
    ],
)
def test_the_final_answer(text, answer):
    assert final_answer(text).replace("  ", " ") == answer


def test_bare():
    assert bare("$$ x \n = 1 $$") == bare(r"\[x = 1\]") == bare("x  = 1") == "x = 1"
    assert bare("$2$ or $3$") == "$2$ or $3$" and bare("$$") == ""


def test_boxes_far_apart_are_no_list_and_blanks_between_them_cost_no_time():
    """Blanks can be shared out among the parts of the pattern: 1,900 on each side of "and" took it two minutes."""
    assert boxed_answer(r"\boxed{1}" + 60 * " " + "and" + 60 * " " + r"\boxed{2}") == "1, 2"
    blanks = 1900 * " "
    assert boxed_answer(r"\boxed{1}" + blanks + "and" + blanks + r"!\boxed{2}") == "2"


def test_what_stands_behind_the_thoughts_counts_if_it_is_an_answer():
    assert without_thoughts(r"<think>\boxed{5}?</think>It is 7.") == "It is 7."
    assert without_thoughts(r"<think>\boxed{5}</think> Done.") == r"<think>\boxed{5}</think> Done."
    assert final_answer(r"<think>\boxed{5}?</think>The answer is **7**.") == "7"
