"""Equality of answers that were read: tolerances, collections, sets of numbers."""

import pytest

from verl_dots.rewards.answers.intervals import as_pieces
from verl_dots.rewards.answers.kinds import Collection
from verl_dots.rewards.answers.pieces import common
from verl_dots.rewards.comparing.collections import equal_collections
from verl_dots.rewards.comparing.equality import Comparison
from verl_dots.rewards.reading.answer import read


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


def test_bounds_that_hold_at_once_are_one_piece():
    assert as_pieces(read("x > 1, x < 2")) == as_pieces(read("1 < x < 2"))
    assert len(as_pieces(read("x < 1, x > 2"))) == len(as_pieces(read(r"x > 1 \text{ or } x < 2"))) == 2
    assert as_pieces(Collection("list", ())) is None
    exclusive = read(r"x < 1 \text{ and } x > 2")
    assert as_pieces(exclusive) is None and len(as_pieces(exclusive, meant=True)) == 2


@pytest.mark.parametrize(
    ("sets", "ends"),
    [
        (["[0, 2]", "(1, 3)"], [("1", "2", (True, False))]),
        (["[0, 1]", "[1, 2]"], [("1", "1", (False, False))]),
        (["[0, 1)", "[1, 2]"], []),
        (
            ["[0, 9]", r"x \ne 1", r"x \ne 2"],
            [("0", "1", (False, True)), ("1", "2", (True, True)), ("2", "9", (True, False))],
        ),
        (["(0, a)", "(1, 2)"], None),
    ],
)
def test_what_sets_have_in_common(sets, ends):
    found = common([as_pieces(read(text)) for text in sets])
    expected = ends and [(read(low), read(high), opened) for low, high, opened in ends]
    assert (found and [(piece.low, piece.high, piece.open) for piece in found]) == expected


def test_a_long_set_is_compared_with_as_many_members_as_the_short_one_has():
    calls = []
    short, long = read(r"\{1, 2\}"), read(r"\{" + ", ".join(map(str, range(1000))) + r"\}")
    for gold, answer in ((short, long), (long, short)):
        assert not equal_collections(gold, answer, lambda one, two: calls.append(one) or one == two)
    assert len(calls) <= 4
