"""The text of an answer: where it stands in a response, one way to write it, its numbers and units."""

from fractions import Fraction

import pytest

from verl_dots.rewards.answers import Based, Clock
from verl_dots.rewards.final_answer import bare, boxed_answer, final_answer, last_boxed
from verl_dots.rewards.latex_text import clean, strip_end
from verl_dots.rewards.number_reading import expand_repeating, read_based, read_clock, read_number
from verl_dots.rewards.units import conflicting, split_unit


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


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (r"$\left(\dfrac12,\; π\right)$", r"(\frac{1}{2}, \pi)"),
        (r"\text{13}", "13"),
        (r"3\text{ and }4", r"3\text{and}4"),
        (r"12,\!345", "12345"),
        ("√12 × 2²", r"\sqrt{12} \times 2^{2}"),
        ("−½", r"-\frac{1}{2}"),
        ("１２", "12"),
        ("50 percent", r"50 \percent"),
        ("\x0crac{1}{2}", r"\frac{1}{2}"),
        (r"\textcolor{red}{\large 2}", "{2}"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ],
)
def test_clean(text, cleaned):
    assert clean(text).replace(" ", "") == cleaned.replace(" ", "")


def test_the_end_of_an_answer():
    assert strip_end("5. ") == strip_end("5;") == strip_end("5\\\\") == "5" and strip_end("5!") == "5!"


@pytest.mark.parametrize(
    ("text", "worth", "places"),
    [
        ("1,234", 1234, None),
        ("4.5e33", 45 * 10**32, 0),
        (r"4.50 \times 10^{33}", 45 * 10**32, 0),
        ("1.6E-19", Fraction(16, 10**20), 20),
        ("10^{-3}", Fraction(1, 1000), 3),
        ("- 0.50", Fraction(-1, 2), 2),
        ("3.", 3, None),
    ],
)
def test_numbers(text, worth, places):
    found = read_number(text)
    assert found.node.value == worth and found.places == places


def test_what_is_no_number():
    assert read_number("12,34") is read_number("x") is read_number("2e") is read_number("1e99999999") is None


def test_repeating_decimals():
    assert expand_repeating(r"0.\overline{6}") == r"(\frac{6}{9})"
    assert expand_repeating(r"0.1\overline{6}") == r"(\frac{15}{90})"  # 16 - 1 over 90


def test_bases():
    assert read_based("204_5") == read_based("(204)_{5}") == read_based("204 base 5") == Based("204", 5)
    assert read_based(r"\text{A5}_{11}") == Based("A5", 11) and read_based("200203_{-4}") == Based("200203", -4)
    assert read_based("x_2") is read_based("207_5") is read_based("A_{12}") is None


def test_clocks():
    assert read_clock("12:00") == Clock(12, 0, 0, "") and read_clock("4:10 P.M.") == Clock(4, 10, 0, "p")
    assert read_clock("19:60") is read_clock("4:9") is None


@pytest.mark.parametrize(
    ("text", "core", "unit"),
    [
        (r"5\text{cm}^{2}", "5", r"\text{cm}^{2}"),
        (r"9 \text{km} / h", "9", r"\text{km} / h"),
        (r"46 \percent", "46", r"\percent"),
        (r"\frac{37}{4} m", r"\frac{37}{4} m", ""),
        ("12 or more", "12 or more", ""),
        (r"\binom{24}{12}^{2}", r"\binom{24}{12}^{2}", ""),
        ("5/n", "5/n", ""),
        (r"\tan 45 \degree", r"\tan 45 \degree", ""),
    ],
)
def test_units(text, core, unit):
    assert split_unit(text) == (core, unit)


def test_units_that_conflict():
    assert conflicting(r"\text{cm}", "km") and conflicting(r"\text{cm}^{2}", r"\text{cm}^{3}")
    assert (
        not conflicting("cm", r"\text{centimeters}") and not conflicting("eggs", "") and not conflicting("cm", "apples")
    )


def test_boxes_far_apart_are_no_list_and_blanks_between_them_cost_no_time():
    """Blanks can be shared out among the parts of the pattern: 1,900 on each side of "and" took it two minutes."""
    assert boxed_answer(r"\boxed{1}" + 60 * " " + "and" + 60 * " " + r"\boxed{2}") == "1, 2"
    blanks = 1900 * " "
    assert boxed_answer(r"\boxed{1}" + blanks + "and" + blanks + r"!\boxed{2}") == "2"
