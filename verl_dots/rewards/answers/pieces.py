"""Pieces of the real line, and what several sets of them have in common or leave out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from verl_dots.rewards.answers.kinds import Answer, Value
from verl_dots.rewards.expressions import values
from verl_dots.rewards.expressions.operations import CONTEXT, Undefined, as_float
from verl_dots.rewards.expressions.tree import Node, number

_INFINITY = Node("constant", value="infty")
HIGHEST, LOWEST = Value(_INFINITY), Value(Node("negative", (_INFINITY,)))
_MOST_PIECES = 64


@dataclass(frozen=True)
class Piece:
    """Numbers between two ends; `open` says of each end whether it is left out, `name` is the variable's, or ""."""

    low: Answer
    high: Answer
    open: tuple[bool, bool]
    name: str = ""


class _Place(NamedTuple):
    """Where an end is on the line; of two ends at one number the open one is further inside."""

    number: object
    inside: bool
    end: Answer


def infinite(end: Answer) -> bool:
    """Whether an end is plus or minus infinity."""
    return end in (LOWEST, HIGHEST, Value(Node("add", (number(Fraction(0)), _INFINITY))))


def line() -> list[Piece]:
    """All real numbers."""
    return [Piece(LOWEST, HIGHEST, (True, True))]


def without_point(end: Answer, name: str = "") -> list[Piece]:
    """All real numbers but one."""
    return [Piece(LOWEST, end, (True, True), name), Piece(end, HIGHEST, (True, True), name)]


def names(pieces: list[Piece]) -> set[str]:
    """The variables that pieces are of."""
    return {piece.name for piece in pieces if piece.name}


def common(sets: list[list[Piece]]) -> list[Piece] | None:
    """What lies in all of some sets; None where ends are no numbers, or there are too many pieces."""
    if sum(map(len, sets)) > _MOST_PIECES:
        return None
    found, *others = [[(*_places(piece), piece.name) for piece in pieces] for pieces in sets]
    try:
        for other in others:
            found = [
                (low, high, name or other_name)
                for one_low, one_high, name in found
                for two_low, two_high, other_name in other
                for low in [max(one_low, two_low, key=lambda place: (place.number, place.inside))]
                for high in [min(one_high, two_high, key=lambda place: (place.number, not place.inside))]
                if low.number < high.number or (low.number == high.number and not low.inside and not high.inside)
            ]
    except TypeError:  # a complex number, or none
        return None
    return [Piece(low.end, high.end, (low.inside, high.inside), name) for low, high, name in found]


def outside(pieces: list[Piece]) -> list[Piece] | None:
    """All real numbers that lie in none of some pieces; None as of `common`."""
    sets = [line()]
    for piece in pieces:
        below = [] if infinite(piece.low) else [Piece(LOWEST, piece.low, (True, not piece.open[0]))]
        above = [] if infinite(piece.high) else [Piece(piece.high, HIGHEST, (not piece.open[1], True))]
        sets.append(below + above)
    return common(sets)


def _places(piece: Piece) -> tuple[_Place, _Place]:
    low, high = (_place(end) for end in (piece.low, piece.high))
    return _Place(low, piece.open[0], piece.low), _Place(high, piece.open[1], piece.high)


def _place(end: Answer) -> object:
    """An end's number; None where it has none, or is of variables."""
    if end == LOWEST:
        return -CONTEXT.inf
    if not isinstance(end, Value) or values.variables(end.node):
        return None
    try:
        return as_float(values.value(end.node))
    except Undefined:
        return None
