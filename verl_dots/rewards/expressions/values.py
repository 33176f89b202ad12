"""What an expression is worth: exactly where it is rational, else to 100 digits, at fixed points for its variables.

Two expressions that agree at several points chosen without regard to them are equal but for a chance of 1e-20 or less;
this takes a millisecond where a symbolic proof can take for ever. The points are positive, so that sqrt(x^2) is x. An
absolute value, a maximum or a minimum is looked at beyond them as well, with signs, and a floor at whole numbers. A
common divisor is looked at there alone.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction

from verl_dots.rewards.expressions.operations import (
    CONTEXT,
    OPERATIONS,
    OutOfReach,
    Undefined,
    Value,
    as_float,
    both,
    function_value,
)
from verl_dots.rewards.expressions.tree import Node

POINTS = 5
_SIGNED = range(100, 116)  # points whose variables may be below zero; at the first ones all are
_WHOLE = range(200, 212)  # points whose variables are whole numbers with many divisors
_ALL_NEGATIVE = range(100, 104)
_LARGEST = (Fraction(5, 2), Fraction(65, 2), Fraction(1000))
_LEAST_POINTS = 2
_SMALL_POINTS = 3
_MANY_DIGITS = 1500


def value(node: Node, point: int = 0) -> Value:
    """What a tree is worth at one of the points.

    Raises:
        Undefined: nothing, or it is out of reach.
    """
    try:
        return _value(node, point)
    except Undefined:
        raise
    except OverflowError as error:
        raise OutOfReach(str(error)) from error
    except (ZeroDivisionError, TypeError, ValueError, RecursionError) as error:
        raise Undefined(str(error)) from error


def pairs(left: Node, right: Node) -> list[tuple[Value, Value]] | None:
    """What two trees are worth at the same points, one where they have no variables; None if that cannot be told.

    A point at which both have no value is left out; where one alone has none, they differ. With signs, a point counts
    only where both have real values, since ln x says by itself that x is positive.
    """
    found = []
    letters = variables(left) | variables(right)
    for point in _points(kinds(left) | kinds(right)) if letters else (0,):
        here = [_value_or_none(side, point) for side in (left, right)]
        if point in _SIGNED and not all(map(_is_real, here)):
            continue
        if None not in here:
            found.append((here[0], here[1]))
        elif here != [None, None]:
            return None
    return found if len(found) >= (_LEAST_POINTS if letters else 1) else None


def kinds(node: Node) -> frozenset[str]:
    """The operations that occur in a tree."""
    return frozenset([node.kind]).union(*map(kinds, node.parts))


def _points(operations: frozenset[str]) -> list[int]:
    """The points at which trees with these operations are looked at."""
    if operations & {"gcd", "lcm"}:
        return list(_WHOLE)
    points = list(range(POINTS))
    if operations & {"abs", "max", "min"}:
        points += _SIGNED
    if operations & {"floor", "ceil"}:
        points += _WHOLE
    return points


def _is_real(here: Value | None) -> bool:
    return isinstance(here, Fraction | CONTEXT.mpf)


def same_constant(left: Node, right: Node) -> bool:
    """Whether two trees without variables that agree to 100 digits agree to 1,600 as well.

    Powers such as 2^{2009} in a root make values that differ far behind the point.
    """
    with CONTEXT.workdps(_MANY_DIGITS + 100):
        one, two = _value_or_none(left, 0), _value_or_none(right, 0)
        if one is None or two is None:
            return False
        if isinstance(one, Fraction) and isinstance(two, Fraction):
            return one == two
        one, two = as_float(one), as_float(two)
        size = max(abs(one), abs(two))
        return one == two or bool(abs(one - two) <= size * CONTEXT.mpf(10) ** -_MANY_DIGITS)


def quotient(left: Value, right: Value) -> Value:
    """One value divided by another, which is not 0."""
    return both(lambda a, b: a / b, left, right)


def _value_or_none(node: Node, point: int) -> Value | None:
    try:
        return value(node, point)
    except Undefined:
        return None


def variables(node: Node) -> frozenset[str]:
    """The names of a tree's variables."""
    if node.kind == "variable":
        return frozenset([node.value])
    if node.kind == "apply":
        return variables(node.parts[0]) | {node.value}
    return frozenset().union(*(variables(part) for part in node.parts))


def close(left: Value, right: Value, tolerance: float = 0.0) -> bool:
    """Whether two values are equal, or differ by at most `tolerance`, relative to the larger one."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        if left == right:
            return True
        return tolerance > 0 and abs(left - right) <= Fraction(tolerance) * max(abs(left), abs(right))
    left, right = as_float(left), as_float(right)
    size = max(abs(left), abs(right))
    if not CONTEXT.isfinite(size):
        return left == right
    return bool(abs(left - right) <= size * max(tolerance, CONTEXT.mpf(10) ** -40))


def _value(node: Node, point: int) -> Value:
    kind = node.kind
    if kind == "number":
        return node.value
    if kind == "variable":
        return _at_point(node.value, point)
    if kind == "constant":
        return _constant(node.value)
    parts = [_value(part, point) for part in node.parts]
    if kind == "function":
        return function_value(node.value, parts)
    if kind == "apply":
        return _at_point(f"{node.value} of {CONTEXT.nstr(as_float(parts[0]), 30)}", 0)
    return OPERATIONS[kind](*parts)


def _at_point(name: str, point: int) -> Fraction:
    """A variable's value, from its name alone: between 1/2 and 3 at the first points, up to 33 at the others.

    At points with signs it is up to 1000 in size, and at whole ones at most 2^3 3^3 5 7.
    """
    digest = hashlib.blake2b(f"{name} {point}".encode(), digest_size=4).digest()
    chance = int.from_bytes(digest, "big")
    share = Fraction(chance, 2**32 + 15)
    if point in _WHOLE:
        return Fraction(2 ** (chance % 4) * 3 ** (chance // 4 % 4) * 5 ** (chance // 16 % 2) * 7 ** (chance // 32 % 2))
    if point in _SIGNED:
        sign = -1 if point in _ALL_NEGATIVE or digest[0] % 2 else 1
        return sign * (Fraction(1, 2) + _LARGEST[point % 3] * share)
    return Fraction(1, 2) + (Fraction(5, 2) if point < _SMALL_POINTS else Fraction(65, 2)) * share


def _constant(name: str) -> Value:
    if name == "infty":
        return CONTEXT.inf
    return {"pi": +CONTEXT.pi, "e": +CONTEXT.e, "i": CONTEXT.mpc(0, 1)}[name]
