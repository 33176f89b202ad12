"""What a relation says: whether it is a calculation, gives the value of letters, or is a multiple of another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from verl_dots.rewards.answers.kinds import Answer, Collection, Either, Named, Relation, Value
from verl_dots.rewards.expressions import values
from verl_dots.rewards.expressions.operations import Undefined
from verl_dots.rewards.expressions.tree import Node, number

_ROUGHLY = 0.01
_LETTERS = (("constant", "e"), ("constant", "i"))
_OF_ANGLES = ("sin", "cos", "tan", "arcsin", "arccos", "arctan")


def as_relation(named: Answer) -> Relation | None:
    """`y = 2x` as an equation of two sides; None where the name is no letter."""
    if isinstance(named, Relation):
        return named
    if not isinstance(named, Named) or len(named.name) != 1 or not isinstance(named.answer, Value):
        return None
    return Relation((Value(Node("variable", value=named.name)), named.answer), ("=",))


def one_of(name: str, other: str) -> bool:
    """Whether a name is another's with a number below, as the solution x_1 is of x."""
    short, long = sorted((name, other), key=len)
    return re.fullmatch(re.escape(short) + r"_\d", long) is not None


def residue(answer: Answer, modulus: Answer) -> Answer:
    """What is left of whole numbers by a modulus: 10 and -4 are 3 by 7. Of a list this is asked of each member."""
    if isinstance(answer, Named):
        return replace(answer, answer=residue(answer.answer, modulus))
    if isinstance(answer, Collection):
        return replace(answer, members=tuple(residue(member, modulus) for member in answer.members))
    if not all(isinstance(one, Value) and not values.variables(one.node) for one in (answer, modulus)):
        return answer
    try:
        whole, by = values.value(answer.node), values.value(modulus.node)
        return Value(number(whole % by)) if isinstance(whole, Fraction) and isinstance(by, Fraction) else answer
    except (Undefined, ZeroDivisionError):
        return answer


def is_calculation(relation: Relation) -> bool:
    """Whether all sides are numbers, as in 2 + 2 = 4."""
    return all(isinstance(side, Value) and not values.variables(side.node) for side in relation.sides)


def is_false(calculation: Relation) -> bool:
    """Whether the last two sides of a calculation without units are more than 1 % and a rounding apart, as in 7 = 6.

    e and i may name a value, and sin 30 may be of degrees: such a calculation is none to judge.
    """
    *_, left, right = calculation.sides
    first = calculation.sides[0].node
    if any(side.unit or _turns(side.node) for side in calculation.sides) or (first.kind, first.value) in _LETTERS:
        return False
    found = values.pairs(left.node, right.node)
    if found is None or values.close(*found[0], _ROUGHLY):
        return False
    half = 0.5 * 10.0 ** -(right.places or 0)
    return not (right.node.kind == "number" and abs(complex(found[0][0]) - complex(found[0][1])) <= half)


def _turns(node: Node) -> bool:
    return node.kind == "function" and str(node.value) in _OF_ANGLES or any(map(_turns, node.parts))


def asks_for(sides: Sequence[Answer]) -> bool:
    """Whether a chain gives the value of a combination of letters, as in m + n = 18; 2x = 18 and -x = 18 do not."""
    first, *rest = sides
    readings = first.readings if isinstance(first, Either) else (first,)
    asked = any(isinstance(reading, Value) and _only_letters(reading.node) for reading in readings)
    return asked and all(isinstance(side, Value) and not values.variables(side.node) for side in rest)


def _only_letters(node: Node, powers: bool = False) -> bool:
    """Whether a tree combines letters and values of functions; in sums of several letters also powers: a^2 + b^2."""
    if node.kind in ("number", "constant", "negative", "factorial", "double factorial"):
        return False
    if node.kind == "apply" and not values.variables(node.parts[0]):
        return True
    parts = node.parts
    if node.kind == "power" and powers and parts[1].kind == "number" and parts[1].value > 0:
        parts = parts[:1]
    if node.kind == "add":
        powers = len(values.variables(node)) > 1
        parts = tuple(part.parts[0] if part.kind == "negative" else part for part in parts)
        if powers:  # e and i are letters among others
            parts = tuple(part for part in parts if (part.kind, part.value) not in _LETTERS)
    return all(_only_letters(part, powers) for part in parts)


def proportional(gold: Relation, answer: Relation, positive: bool) -> bool:
    """Whether left minus right of one relation is that of the other times a constant (above 0)."""
    nodes = []
    for relation in (gold, answer):
        if not all(isinstance(side, Value) for side in relation.sides):
            return False
        left, right = relation.sides
        nodes.append(Node("add", (left.node, Node("negative", (right.node,)))))
    if values.variables(nodes[0]) != values.variables(nodes[1]) or not values.variables(nodes[0]):
        return False
    pairs = values.pairs(*nodes)
    if pairs is None or any(right == 0 for _, right in pairs):
        return False
    found = [values.quotient(left, right) for left, right in pairs]
    if not all(values.close(found[0], other) for other in found[1:]) or found[0] == 0:
        return False
    return not positive or bool(getattr(found[0], "real", found[0]) > 0)
