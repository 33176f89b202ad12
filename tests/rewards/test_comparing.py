"""Equality of answers that were read: tolerances, collections, sets of numbers."""

import pytest

from verl_dots.rewards.answer_reading import read
from verl_dots.rewards.comparing import Comparison
from verl_dots.rewards.intervals import as_pieces


def equal(gold, answer, measured=False):
    return Comparison(measured).equal(read(gold), read(answer))


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        (r"\frac{1}{3}", "0.333333", True),  # 3.3e-7 apart, 1e-6 relatively
        (r"\frac{1}{3}", "0.33333", False),  # 3.3e-6 apart
        (r"1000\sqrt{2}", "1414.2136", True),  # 2.7e-8 relatively
        (r"1000\sqrt{2}", "1414.21", False),  # 2.5e-6 relatively
        (r"\pi", "3.1416", False),
        ("1234.5", "1234.50", True),
        ("1234.567", "1234.568", False),
        ("0.02236412255", "0.0223641", True),  # rounded to seven decimals
        ("0.02236412255", "0.0223642", False),
        ("0.1234567", "0.1234568", False),  # both have seven
        ("1", "0.9999999", False),  # a whole number is no rounded one
        ("14", "14.000000000000002", True),  # of a binary float
        ("0.0000003", "0.0000001", False),
        (r"1.6\times 10^{-19}", r"1.7\times 10^{-19}", False),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}", False),
        ("10^{100}", "10^{100}+1", False),
    ],
)
def test_tolerance_of_exact_sources(gold, answer, right):
    assert equal(gold, answer) is right


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("9.8", "9.8009", True),  # 9.2e-5
        ("9.8", "9.801", False),  # 1.02e-4
        ("6.6e-34", "0", False),
        ("3.14159", r"\pi", True),
        ("20000", "20001", False),  # 5e-5, but counted
        ("20000", "20001.0", True),
    ],
)
def test_tolerance_of_measurements(gold, answer, right):
    assert equal(gold, answer, measured=True) is right


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
