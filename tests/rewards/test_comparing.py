"""Equality of answers that were read: tolerances, collections, sets of numbers."""

import pytest

from verl_dots.rewards.answer_reading import read
from verl_dots.rewards.comparing import Comparison
from verl_dots.rewards.intervals import as_pieces


def equal(gold, answer, measured=False):
    return Comparison(measured).equal(read(gold), read(answer))


@pytest.mark.parametrize(
    ("gold", "answer", "exact", "measured"),
    [
        (r"\frac{1}{3}", "0.333333", True, True),  # 3.3e-7 apart, 1e-6 relatively
        (r"\frac{1}{3}", "0.33333", False, True),  # 3.3e-6 apart
        (r"1000\sqrt{2}", "1414.2136", True, True),  # 2.7e-8 relatively
        (r"1000\sqrt{2}", "1414.21", False, True),  # 2.5e-6 relatively
        ("1234.5", "1234.50", True, True),
        ("1234.567", "1234.568", False, True),
        ("0.02236412255", "0.0223641", True, True),  # rounded to seven decimals
        ("0.02236412255", "0.0223642", False, True),
        ("14", "14.000000000000002", True, True),  # of a binary float
        ("0.0000003", "0.0000001", False, False),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}", False, False),
        ("9.8", "9.8009", False, True),  # 9.2e-5
        ("9.8", "9.801", False, False),  # 1.02e-4
        ("6.6e-34", "0", False, False),
        ("3.14159", r"\pi", False, True),
        ("20000", "20001", False, False),  # 5e-5, but counted
        ("20000", "20001.0", False, True),
    ],
)
def test_the_tolerance_of_exact_sources_and_of_measurements(gold, answer, exact, measured):
    assert (equal(gold, answer), equal(gold, answer, measured=True)) == (exact, measured)


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("1, 2, 2", "2, 1, 2", True),
        ("1, 2, 2", "1, 2", False),  # a list's members count
        (r"\{1, 2, 2\}", r"\{1, 2\}", True),  # a set's do not
        ("3, 5", "(3, 5)", True),
        ("(3, 5)", "5, 3", False),
        ("(1, 2)", "[1, 2]", False),
        (r"\{5\}", "5", True),
        ("5", "5, 5", False),
        ("5", r"5 \text{ or } \frac{10}{2}", True),  # the same in two forms
        ("5", r"5 \text{ or } 6", False),
    ],
)
def test_collections(gold, answer, right):
    assert equal(gold, answer) is right


def test_pieces():
    (piece,) = as_pieces(read(r"0 \le x < 1"))
    assert piece.open == (False, True) and piece.name == "x"
    assert len(as_pieces(read(r"x \ne 3"))) == 2 and as_pieces(read("3")) is as_pieces(read("(1, 2, 3)")) is None
    assert as_pieces(read(r"(-\infty, \infty)"))[0].open == as_pieces(read(r"\mathbb{R}"))[0].open == (True, True)
    assert as_pieces(read("x + 1 > 2")) is None  # nothing is solved
