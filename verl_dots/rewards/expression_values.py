"""What an expression is worth: exactly where it is rational, else to 100 digits, at fixed points for its variables.

Two expressions that agree at several points chosen without regard to them are equal but for a chance of 1e-20 or less;
this takes a millisecond where a symbolic proof can take for ever. The points are positive, so that sqrt(x^2) is x.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction

import mpmath

from verl_dots.rewards.expressions import Node

DIGITS = 100
POINTS = 5
_LEAST_POINTS = 2
_SMALL_POINTS = 3
_MANY_DIGITS = 1500
_MOST_BITS = 200_000  # of an exact power or factorial; beyond that it is a float
_MOST_LOGARITHM = 10**7  # of a power's size
_CONTEXT = mpmath.mp.clone()
_CONTEXT.dps = DIGITS

Value = Fraction | mpmath.mpf | mpmath.mpc


class Undefined(ValueError):
    """An expression has no value: division by zero, infinity in a sum, too large."""


def value(node: Node, point: int = 0) -> Value:
    """What a tree is worth at one of the points.

    Raises:
        Undefined: nothing, or it is out of reach.
    """
    try:
        return _value(node, point)
    except (ZeroDivisionError, OverflowError, TypeError, ValueError, RecursionError) as error:
        raise Undefined(str(error)) from error


def pairs(left: Node, right: Node) -> list[tuple[Value, Value]] | None:
    """What two trees are worth at the same points, one where they have no variables; None if that cannot be told.

    A point at which both have no value is left out; where one alone has none, they differ.
    """
    found = []
    for point in range(POINTS if variables(left) | variables(right) else 1):
        both = [_value_or_none(side, point) for side in (left, right)]
        if None not in both:
            found.append((both[0], both[1]))
        elif both != [None, None]:
            return None
    return found if len(found) >= (_LEAST_POINTS if variables(left) | variables(right) else 1) else None


def same_constant(left: Node, right: Node) -> bool:
    """Whether two trees without variables that agree to 100 digits agree to 1,600 as well.

    Powers such as 2^{2009} in a root make values that differ far behind the point.
    """
    with _CONTEXT.workdps(_MANY_DIGITS + 100):
        one, two = _value_or_none(left, 0), _value_or_none(right, 0)
        if one is None or two is None:
            return False
        if isinstance(one, Fraction) and isinstance(two, Fraction):
            return one == two
        one, two = as_float(one), as_float(two)
        size = max(abs(one), abs(two))
        return one == two or bool(abs(one - two) <= size * _CONTEXT.mpf(10) ** -_MANY_DIGITS)


def quotient(left: Value, right: Value) -> Value:
    """One value divided by another, which is not 0."""
    return _both(lambda a, b: a / b, left, right)


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
    if not _CONTEXT.isfinite(size):
        return left == right
    return bool(abs(left - right) <= size * max(tolerance, _CONTEXT.mpf(10) ** -40))


def as_float(value: Value) -> Value:
    """A value as a number of mpmath."""
    if isinstance(value, Fraction):
        return _CONTEXT.mpf(value.numerator) / value.denominator
    return value


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
        return _function(node.value, parts)
    if kind == "apply":
        return _at_point(f"{node.value} of {_CONTEXT.nstr(as_float(parts[0]), 30)}", 0)
    return _OPERATIONS[kind](*parts)


def _at_point(name: str, point: int) -> Fraction:
    """A variable's value, from its name alone: between 1/2 and 3 at the first points, up to 33 at the others."""
    digest = hashlib.blake2b(f"{name} {point}".encode(), digest_size=4).digest()
    share = Fraction(int.from_bytes(digest, "big"), 2**32 + 15)
    return Fraction(1, 2) + (Fraction(5, 2) if point < _SMALL_POINTS else Fraction(65, 2)) * share


def _constant(name: str) -> Value:
    if name == "infty":
        return _CONTEXT.inf
    return {"pi": +_CONTEXT.pi, "e": +_CONTEXT.e, "i": _CONTEXT.mpc(0, 1)}[name]


def _both(exact: Callable, left: Value, right: Value) -> Value:
    if not (isinstance(left, Fraction) and isinstance(right, Fraction)):
        left, right = as_float(left), as_float(right)
    result = exact(left, right)
    if not isinstance(result, Fraction) and _CONTEXT.isnan(result):
        raise Undefined("it is no number")
    return result


def _sum(left: Value, right: Value) -> Value:
    """A sum, 0 where all but rounding cancels."""
    total = _both(lambda a, b: a + b, left, right)
    if not isinstance(total, Fraction) and abs(total) < abs(as_float(left)) * _CONTEXT.mpf(10) ** (20 - _CONTEXT.dps):
        return Fraction(0)
    return total


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            bits = max(abs(base.numerator), base.denominator).bit_length() * abs(exponent)
            if bits <= _MOST_BITS:
                return base ** int(exponent)
        elif (root := _exact_root(base, exponent.denominator)) is not None:
            return _power(root, Fraction(exponent.numerator))
    if isinstance(exponent, Fraction) and exponent.denominator % 2 == 1 < exponent.denominator and _below_zero(base):
        return _power(-base, exponent) * (-1) ** exponent.numerator  # the real root
    base, exponent = as_float(base), as_float(exponent)
    if base == 0:
        if not _CONTEXT.re(exponent) > 0:
            raise Undefined("a power of zero")
        return Fraction(0)
    if not _CONTEXT.isfinite(abs(base)) or not _CONTEXT.isfinite(abs(exponent)):
        raise Undefined("infinity in a power")
    if abs(exponent * _CONTEXT.log(base)) > _MOST_LOGARITHM:
        raise Undefined("the power is too large")
    return _CONTEXT.power(base, exponent)


def _exact_root(base: Fraction, degree: int) -> Fraction | None:
    """The root of a fraction, if it is one; the real one of a positive number."""
    if base < 0 or degree > 64 or max(base.numerator, base.denominator).bit_length() > _MOST_BITS // 10:
        return None
    parts = []
    for whole in (base.numerator, base.denominator):
        root = math.isqrt(whole) if degree == 2 else int(_CONTEXT.nint(_CONTEXT.root(whole, degree)))
        if root**degree != whole:
            return None
        parts.append(root)
    return Fraction(*parts)


def _below_zero(base: Value) -> bool:
    return isinstance(base, Fraction | _CONTEXT.mpf) and base < 0


def _root(base: Value, degree: Value) -> Value:
    return _power(base, _both(lambda left, right: left / right, Fraction(1), degree))


def _factorial(argument: Value) -> Value:
    if isinstance(argument, Fraction) and argument.denominator == 1 and 0 <= argument <= 20_000:
        return Fraction(math.factorial(int(argument)))
    if abs(as_float(argument)) > 10**9:
        raise Undefined("the factorial is too large")
    return _CONTEXT.factorial(as_float(argument))


def _double_factorial(argument: Value) -> Value:
    if isinstance(argument, Fraction) and argument.denominator == 1 and 0 <= argument <= 10_000:
        return Fraction(math.prod(range(int(argument), 0, -2)))
    raise Undefined("a double factorial of no whole number")


def _binomial(upper: Value, lower: Value) -> Value:
    whole = all(isinstance(part, Fraction) and part.denominator == 1 and 0 <= part <= 20_000 for part in (upper, lower))
    if whole:
        return Fraction(math.comb(int(upper), int(lower)))
    if max(abs(as_float(upper)), abs(as_float(lower))) > 10**6:
        raise Undefined("the binomial is too large")
    return _CONTEXT.binomial(as_float(upper), as_float(lower))


def _absolute(argument: Value) -> Value:
    return abs(argument)


def _whole(rounding: str) -> Callable[[Value], Value]:
    def whole(argument: Value) -> Value:
        if isinstance(argument, Fraction):
            return Fraction(math.floor(argument) if rounding == "floor" else math.ceil(argument))
        return Fraction(int((_CONTEXT.floor if rounding == "floor" else _CONTEXT.ceil)(argument)))

    return whole


def _function(name: str, parts: list[Value]) -> Value:
    argument = as_float(parts[0])
    if name in ("ln", "log", "lg"):
        if len(parts) == 1:
            base = _CONTEXT.e if name == "ln" else 10
        else:
            base = as_float(parts[1])
        return _CONTEXT.log(argument) if name == "ln" else _CONTEXT.log(argument) / _CONTEXT.log(base)
    if name == "exp" and abs(argument) > _MOST_LOGARITHM:
        raise Undefined("the power is too large")
    name = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcsec": "asec",
            "arccsc": "acsc", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"}.get(name, name)  # fmt: skip
    return getattr(_CONTEXT, name)(argument)


_OPERATIONS: dict[str, Callable] = {
    "add": _sum,
    "multiply": lambda left, right: _both(lambda a, b: a * b, left, right),
    "divide": lambda left, right: _both(lambda a, b: a / b, left, right),
    "negative": lambda part: -part,
    "power": _power,
    "root": _root,
    "factorial": _factorial,
    "double factorial": _double_factorial,
    "binomial": _binomial,
    "abs": _absolute,
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
    "degree": lambda part: _both(lambda a, b: a * b, part, +_CONTEXT.pi / 180),
}
