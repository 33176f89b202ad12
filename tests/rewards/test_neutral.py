"""Ground truths that lose right responses, found beforehand."""

import pytest

from verl_dots.rewards.neutral import is_prose, problem, rewrites
from verl_dots.rewards.problems import FRAGILE, PROSE, UNREADABLE


@pytest.mark.parametrize(
    "answer",
    ["1/2", r"\frac{1}{2}", "(1, 2)", "[0,1)", r"\text{Tuesday}", "204_5", "x^2+1=0", r"90 \text{ mph}", "3, 5, 7",
     "none of these", r"2 \text{ and } 3", "1,234", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\$5.50", r"\text{None}",
     "no solution", r"\text{No solution}", r"\emptyset", "DNE", r"\text{does not exist}", "undefined", r"(-\infty, 3]",
     r"\infty",
     "(2n-1)!!", r"\frac{1}{2014!^{2014}}",
     "n/a", "not", "given", "depends on n", "see", "complete", "f'(x)", "(a')", "(f'', g')",
     r"\ln|x|", r"\frac{1}{x}", r"x = \sqrt{-1}"],
)  # fmt: skip
def test_answers_without_a_problem(answer):
    assert problem(answer) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("", UNREADABLE),
        ("$$", UNREADABLE),
        (r"\boxed{}", UNREADABLE),
        (" . ", UNREADABLE),
        ("The problem does not have a provided solution, so the final answer cannot be extracted.", PROSE),
        (r"The only function \( f \) that satisfies the conditions is \( f(n) = 1 \).", PROSE),
        *(
            (text, UNREADABLE)
            for text in (
                "No solution provided.",
                "Solution not found.",
                "N/A",
                "?",
                "1/0",
                "0/0",
                "not provided",
                "answer missing",
                "TBD",
                "-",
                "null",
                "nan",
                "[]",
                "()",
                r"\infty/\infty",
                r"\log 0",
                "Proof omitted",
                r"\text{N/A}",
                "See solution",
                "no answer given",
                "The answer is missing.",
                r"(1, \frac{1}{0})",
                r"x = \ln 0",
                "solution is not yet available",
                "Work in progress",
                "TODO",
                "TODO: ask",
                "to be determined",
                "not applicable",
                "No answer",
                "Answers may vary.",
                r"\text{Answers will vary}",
                "It depends",
                "see figure",
                "See the diagram below",
                "proof: see above",
                "The solution is complete.",
            )
        ),
        ("4.5e33", FRAGILE),
        ("np.arcsin(10/13)", FRAGILE),
        ("-3./2", FRAGILE),
        ("float('inf')", FRAGILE),
        ("['a']", FRAGILE),
        ('("a", "b")', FRAGILE),
        (r"1 + 2 + \ldots + n", FRAGILE),
        (r"3 \mid n", FRAGILE),
        ("12 or more", FRAGILE),
    ],
)
def test_problems(answer, kind):
    found, message = problem(answer)
    assert found == kind and (repr(answer)[:20] in message or not answer)


def test_powers_of_ten_are_usual_for_measurements():
    assert problem("4.5e33", measured=True) is problem("4.5e+33", measured=True) is None
    assert problem("np.pi", measured=True)[0] == FRAGILE


def test_rewrites_keep_the_meaning_and_differ():
    assert rewrites(r"(\frac{1}{2}, x+1)") == [
        r"(\frac{1}{2}, x+1).",
        r"$(\frac{1}{2}, x+1)$",
        r"(\dfrac{1}{2}, x+1)",
        r"(\frac{1}{2}, x\,+\,1)",
        r"\left(\frac{1}{2}, x+1\right)",
    ]
    assert rewrites("$5$") == ["$5$."]


def test_prose():
    assert is_prose("Player B has a winning strategy for all n") and not is_prose("up to the right")
    assert not is_prose(r"4 \text{ if } n \text{ is even}") and not is_prose(r"\frac{\sqrt{2}}{2} \cdot \text{cm}")
