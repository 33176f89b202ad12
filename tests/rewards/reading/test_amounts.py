"""Amounts in several units."""

from fractions import Fraction

from verl_dots.rewards.reading.amounts import read_amount


def test_amounts_are_added_in_the_smallest_unit():
    found = read_amount(r"2\text{hours and}30\text{minutes}")
    assert (found.node.value, found.unit) == (150, "minutes")
    assert read_amount("5 ft 3 in").node.value == 63 and read_amount("1.5 h, 6 min").node.value == Fraction(96)


def test_what_is_no_amount():
    assert read_amount("5 minutes 2 hours") is read_amount("3 apples 4 pears") is read_amount("5 cm 3 s") is None
    assert read_amount("5 cm") is read_amount("x") is None


def test_many_words_and_cost_no_time():
    assert read_amount(1000 * "1aand" + "!") is None
