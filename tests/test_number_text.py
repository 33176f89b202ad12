"""Numbers as texts: the shortest, which read back as the same."""

import math

import pytest

from verl_dots.number_text import number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e10, "10000000000"), (1e15, "1000000000000000"), (2.0**53, "9007199254740992"), (0.1, "0.1"), (1e22, "1e+22"),
        (3.0, "3"), (2, "2"), (-0.0, "0"), (1 / 3, "0.3333333333333333"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_the_text_of_a_number_reads_back_as_the_same(value, text):
    assert number_text(value) == text and float(text) == value


def test_no_number_has_no_text():
    assert number_text(math.nan) == ""
