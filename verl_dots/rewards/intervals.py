r"""Sets of real numbers as pieces: `0 \le x < 1`, `[0, 1)` and `x \in [0, 1)` are one piece, unions have several."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from verl_dots.rewards import expression_values as values
from verl_dots.rewards.answers import Answer, Collection, Named, Relation, Value, Words
from verl_dots.rewards.expression_tree import Node, number

_INFINITY = Node("constant", value="infty")
HIGHEST, LOWEST = Value(_INFINITY), Value(Node("negative", (_INFINITY,)))

_REALS = frozenset({"mathbbr", "allrealnumbers", "allreals", "realnumbers", "allrealx", "setofallrealnumbers"})


@dataclass(frozen=True)
class Piece:
    """Numbers between two ends; `open` says of each end whether it is left out, `name` is the variable's, or ""."""

    low: Answer
    high: Answer
    open: tuple[bool, bool]
    name: str = ""


def as_pieces(answer: Answer) -> list[Piece] | None:
    """The pieces of an answer that is a set of real numbers, else None."""
    if isinstance(answer, Named):
        return as_pieces(answer.answer)
    if isinstance(answer, Words) and answer.text in _REALS:
        return [Piece(LOWEST, HIGHEST, (True, True))]
    if isinstance(answer, Relation):
        return _of_relation(answer)
    if not isinstance(answer, Collection):
        return None
    if answer.kind == "tuple" and len(answer.members) == 2:
        return [_pair(answer)]
    if answer.kind in ("union", "list"):
        found: list[Piece] = []
        for member in answer.members:
            if answer.kind == "list" and isinstance(member, Collection):
                return None  # a list of points, or of intervals
            if isinstance(member, Collection) and member.kind == "set":
                found += [Piece(point, point, (False, False)) for point in member.members]
                continue
            pieces = as_pieces(member)
            if pieces is None:
                return None
            found += pieces
        return found
    return None


def _pair(answer: Collection) -> Piece:
    low, high = answer.members
    opened = [answer.brackets[0] == "(", answer.brackets[1] == ")"]
    return Piece(low, high, (opened[0] or _infinite(low), opened[1] or _infinite(high)))


def _infinite(end: Answer) -> bool:
    return end in (LOWEST, HIGHEST, Value(Node("add", (number(Fraction(0)), _INFINITY))))


def _of_relation(relation: Relation) -> list[Piece] | None:
    """`a < x < b`, `x < b`, `a < x` or `x != a` with ends that are not named x."""
    sides, signs = relation.sides, relation.signs
    if not all(isinstance(side, Value) for side in sides):
        return None
    names = relation.names or [""] * len(sides)
    letters = [name if _has_variables(side) else "" for name, side in zip(names, sides, strict=True)]
    if len(signs) == 1 and sum(map(bool, letters)) == 1 and not _has_variables(sides[0 if letters[1] else 1]):
        at = 0 if letters[0] else 1
        return _one_sided(letters[at], sides[1 - at], signs[0], left=at == 0)
    if len(signs) != 2 or not letters[1] or _has_variables(sides[0]) or _has_variables(sides[2]):
        return None
    if {signs[0][0], signs[1][0]} not in ({"<"}, {">"}) or "=" in (signs[0][0], signs[1][0]):
        return None
    ends = (sides[0], sides[2]) if signs[0][0] == "<" else (sides[2], sides[0])
    opened = tuple("=" not in sign for sign in (signs if signs[0][0] == "<" else signs[::-1]))
    return [Piece(*ends, (opened[0] or _infinite(ends[0]), opened[1] or _infinite(ends[1])), letters[1])]


def _one_sided(name: str, end: Value, sign: str, left: bool) -> list[Piece] | None:
    if sign == "!=":
        return [Piece(LOWEST, end, (True, True), name), Piece(end, HIGHEST, (True, True), name)]
    if sign[0] not in "<>":
        return None
    opened = "=" not in sign
    if (sign[0] == "<") == left:
        return [Piece(LOWEST, end, (True, opened), name)]
    return [Piece(end, HIGHEST, (opened, True), name)]


def _has_variables(side: Value) -> bool:
    return bool(values.variables(side.node))
