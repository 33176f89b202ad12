r"""Sets of real numbers as pieces: `0 \le x < 1`, `[0, 1)` and `x \in [0, 1)` are one piece, unions have several.

Bounds of one variable that hold at once are one piece as well: `x > 1, x < 2`.
"""

from __future__ import annotations

from fractions import Fraction

from verl_dots.rewards.answers.kinds import Answer, Collection, Named, Relation, Value, Words
from verl_dots.rewards.answers.pieces import (
    HIGHEST,
    LOWEST,
    Piece,
    common,
    infinite,
    line,
    names,
    outside,
    without_point,
)
from verl_dots.rewards.expressions import values
from verl_dots.rewards.expressions.tree import Node, number

_ZERO = Value(number(Fraction(0)))
_REALS = frozenset({"mathbbr", "allrealnumbers", "allreals", "realnumbers", "allrealx", "setofallrealnumbers"})
_POSITIVE = frozenset(
    {"mathbbr^+", "mathbbr_+^*", "mathbbr_>0"}
    | {f"{every}positive{reals}" for every in ("", "all") for reals in ("reals", "realnumbers")}
)


def as_pieces(answer: Answer, meant: bool = False) -> list[Piece] | None:
    """The pieces of an answer that is a set of real numbers, else None.

    Args:
        meant: whether bounds with nothing in common are a union though "and" is between them, as a ground truth's are.
    """
    if isinstance(answer, Named):
        return as_pieces(answer.answer, meant)
    if isinstance(answer, Words):
        return line() if answer.text in _REALS else _positive() if answer.text in _POSITIVE else None
    if isinstance(answer, Relation):
        return _of_relation(answer)
    if not isinstance(answer, Collection):
        return None
    if answer.kind == "tuple" and len(answer.members) == 2:
        return [_pair(answer)]
    if answer.kind == "union":
        return _joined([_of_member(member) for member in answer.members])
    if answer.kind == "difference":
        whole, removed = map(_of_member, answer.members)
        rest = None if removed is None else outside(removed)
        return None if whole is None or rest is None else common([whole, rest])
    return _of_list(answer, meant) if answer.kind == "list" else None


def _positive() -> list[Piece]:
    return [Piece(_ZERO, HIGHEST, (True, True))]


def _joined(parts: list[list[Piece] | None]) -> list[Piece] | None:
    return None if None in parts else [piece for part in parts for piece in part]


def _of_member(member: Answer) -> list[Piece] | None:
    """The pieces of a part of a union: of a set of points, these."""
    if isinstance(member, Collection) and member.kind == "set":
        return [Piece(point, point, (False, False)) for point in member.members]
    return as_pieces(member)


def _of_list(answer: Collection, meant: bool) -> list[Piece] | None:
    """Bounds of one variable hold at once, or each by itself where "or" is between them or they exclude each other."""
    parts: list[list[Piece]] = []
    excluding = False
    bounded = any(isinstance(member, Relation) for member in answer.members)
    for member in answer.members:
        if isinstance(member, Collection):
            return None  # a list of points, or of intervals
        if excluding and isinstance(member, Value) and not _has_variables(member):
            parts.append(without_point(member))  # x != 1, 2
            continue
        excluding = isinstance(member, Relation) and member.signs == ("!=",)
        pieces = _point(member) if bounded else None
        if pieces is None and (pieces := as_pieces(member)) is None:
            return None
        parts.append(pieces)
    if not parts:
        return None
    every = _joined(parts)
    some_excluded = any(isinstance(member, Relation) and "!=" in member.signs for member in answer.members)
    half_lines = all(infinite(piece.low) or infinite(piece.high) for piece in every)
    if len(names(every)) > 1 or not (some_excluded or (half_lines and answer.brackets != "or")):
        return every
    shared = common(parts)
    if not shared and shared is not None and answer.brackets == "and" and not meant:
        return None
    return shared or every


def _point(member: Answer) -> list[Piece] | None:
    """`x = 0` beside bounds."""
    if not (isinstance(member, Named) and isinstance(member.answer, Value)) or _has_variables(member.answer):
        return None
    return [Piece(member.answer, member.answer, (False, False), member.name)]


def _pair(answer: Collection) -> Piece:
    low, high = answer.members
    opened = [answer.brackets[0] == "(", answer.brackets[1] == ")"]
    return Piece(low, high, (opened[0] or infinite(low), opened[1] or infinite(high)))


def _of_relation(relation: Relation) -> list[Piece] | None:
    """`a < x < b`, `x < b`, `a < x`, `x != a` or `|x - a| < b` with ends that are not named x."""
    sides, signs = relation.sides, relation.signs
    if not all(isinstance(side, Value) for side in sides):
        return None
    given = relation.names or [""] * len(sides)
    letters = [name if _has_variables(side) else "" for name, side in zip(given, sides, strict=True)]
    distances = [side.node.kind == "abs" and _has_variables(side) for side in sides]
    if any(distances):
        at = 0 if distances[0] else 1
        single = len(signs) == 1 and not _has_variables(sides[1 - at])
        return _of_distance(sides[at].node.parts[0], sides[1 - at], signs[0], left=at == 0) if single else None
    if len(signs) == 1 and sum(map(bool, letters)) == 1 and not _has_variables(sides[0 if letters[1] else 1]):
        at = 0 if letters[0] else 1
        return _one_sided(letters[at], sides[1 - at], signs[0], left=at == 0)
    if len(signs) != 2 or not letters[1] or _has_variables(sides[0]) or _has_variables(sides[2]):
        return None
    if {signs[0][0], signs[1][0]} not in ({"<"}, {">"}) or "=" in (signs[0][0], signs[1][0]):
        return None
    ends = (sides[0], sides[2]) if signs[0][0] == "<" else (sides[2], sides[0])
    opened = tuple("=" not in sign for sign in (signs if signs[0][0] == "<" else signs[::-1]))
    return [Piece(*ends, (opened[0] or infinite(ends[0]), opened[1] or infinite(ends[1])), letters[1])]


def _one_sided(name: str, end: Value, sign: str, left: bool) -> list[Piece] | None:
    if sign == "!=":
        return without_point(end, name)
    if sign[0] not in "<>":
        return None
    opened = "=" not in sign
    if (sign[0] == "<") == left:
        return [Piece(LOWEST, end, (True, opened), name)]
    return [Piece(end, HIGHEST, (opened, True), name)]


def _of_distance(inner: Node, most: Value, sign: str, left: bool) -> list[Piece] | None:
    """The pieces of `|x| < b` and `|x - a| < b`, or with another sign; b is above 0."""
    letter, *rest = inner.parts if inner.kind == "add" else (inner,)
    if letter.kind != "variable" or any(map(values.variables, rest)) or sign[0] not in "<>":
        return None
    centre = Node("negative", tuple(rest)) if rest else number(Fraction(0))
    low, high = (Value(Node("add", (centre, end))) for end in (Node("negative", (most.node,)), most.node))
    within, opened = (sign[0] == "<") == left, "=" not in sign
    if not common([_positive(), [Piece(most, most, (False, False))]]):
        return None
    if within:
        return [Piece(low, high, (opened, opened), letter.value)]
    return [Piece(LOWEST, low, (True, opened), letter.value), Piece(high, HIGHEST, (opened, True), letter.value)]


def _has_variables(side: Value) -> bool:
    return bool(values.variables(side.node))
