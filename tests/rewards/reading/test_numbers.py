"""Numbers, bases and clocks as answers write them."""

from fractions import Fraction

import pytest

from verl_dots.rewards.answers.kinds import Based, Clock
from verl_dots.rewards.reading.numbers import expand_repeating, read_based, read_clock, read_number


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
