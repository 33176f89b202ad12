"""What operations on values come to: exact on fractions as far as that is in reach, else to 100 digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import mpmath

DIGITS = 100
CONTEXT = mpmath.mp.clone()
CONTEXT.dps = DIGITS
_MOST_BITS = 200_000  # of an exact power or factorial; beyond that it is a float
_MOST_ARGUMENT = 1000  # of zeta and gamma
_MOST_LOGARITHM = 10**7  # of a power's size

Value = Fraction | mpmath.mpf | mpmath.mpc


class Undefined(ValueError):
    """An expression has no value: division by zero, infinity in a sum, too large."""


class OutOfReach(Undefined):
    """An expression's value takes too long to compute."""


def as_float(value: Value) -> Value:
    """A value as a number of mpmath."""
    if isinstance(value, Fraction):
        return CONTEXT.mpf(value.numerator) / value.denominator
    return value


def both(exact: Callable, left: Value, right: Value) -> Value:
    """An operation on two fractions, or on two floats."""
    if not (isinstance(left, Fraction) and isinstance(right, Fraction)):
        left, right = as_float(left), as_float(right)
    result = exact(left, right)
    if not isinstance(result, Fraction) and CONTEXT.isnan(result):
        raise Undefined("it is no number")
    return result


def _sum(left: Value, right: Value) -> Value:
    """A sum, 0 where all but rounding cancels."""
    total = both(lambda a, b: a + b, left, right)
    if not isinstance(total, Fraction) and abs(total) < abs(as_float(left)) * CONTEXT.mpf(10) ** (20 - CONTEXT.dps):
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
        if not CONTEXT.re(exponent) > 0:
            raise Undefined("a power of zero")
        return Fraction(0)
    if not CONTEXT.isfinite(abs(base)) or not CONTEXT.isfinite(abs(exponent)):
        raise Undefined("infinity in a power")
    if abs(exponent * CONTEXT.log(base)) > _MOST_LOGARITHM:
        raise OutOfReach("the power is too large")
    return CONTEXT.power(base, exponent)


def _exact_root(base: Fraction, degree: int) -> Fraction | None:
    """The root of a fraction, if it is one; the real one of a positive number."""
    if base < 0 or degree > 64 or max(base.numerator, base.denominator).bit_length() > _MOST_BITS // 10:
        return None
    parts = []
    for whole in (base.numerator, base.denominator):
        root = math.isqrt(whole) if degree == 2 else int(CONTEXT.nint(CONTEXT.root(whole, degree)))
        if root**degree != whole:
            return None
        parts.append(root)
    return Fraction(*parts)


def _below_zero(base: Value) -> bool:
    return isinstance(base, Fraction | CONTEXT.mpf) and base < 0


def _root(base: Value, degree: Value) -> Value:
    return _power(base, both(lambda left, right: left / right, Fraction(1), degree))


def _factorial(argument: Value) -> Value:
    if isinstance(argument, Fraction) and argument.denominator == 1 and 0 <= argument <= 20_000:
        return Fraction(math.factorial(int(argument)))
    if abs(as_float(argument)) > 10**9:
        raise OutOfReach("the factorial is too large")
    return CONTEXT.factorial(as_float(argument))


def _double_factorial(argument: Value) -> Value:
    if isinstance(argument, Fraction) and argument.denominator == 1 and 0 <= argument <= 10_000:
        return Fraction(math.prod(range(int(argument), 0, -2)))
    raise Undefined("a double factorial of no whole number")


def _binomial(upper: Value, lower: Value) -> Value:
    whole = all(isinstance(part, Fraction) and part.denominator == 1 and 0 <= part <= 20_000 for part in (upper, lower))
    if whole:
        return Fraction(math.comb(int(upper), int(lower)))
    if max(abs(as_float(upper)), abs(as_float(lower))) > 10**6:
        raise OutOfReach("the binomial is too large")
    return CONTEXT.binomial(as_float(upper), as_float(lower))


def _whole(rounding: str) -> Callable[[Value], Value]:
    def whole(argument: Value) -> Value:
        if isinstance(argument, Fraction):
            return Fraction(math.floor(argument) if rounding == "floor" else math.ceil(argument))
        return Fraction(int((CONTEXT.floor if rounding == "floor" else CONTEXT.ceil)(argument)))

    return whole


def function_value(name: str, parts: list[Value]) -> Value:
    """What a function with a name is worth; a logarithm's second part is its base."""
    argument = as_float(parts[0])
    if name in ("ln", "log", "lg"):
        base = as_float(parts[1]) if len(parts) > 1 else 10
        if argument == 0:
            raise Undefined("the logarithm of zero")
        return CONTEXT.log(argument) if name == "ln" else CONTEXT.log(argument) / CONTEXT.log(base)
    if abs(argument) > {"exp": _MOST_LOGARITHM, "zeta": _MOST_ARGUMENT, "gamma": _MOST_ARGUMENT}.get(name, CONTEXT.inf):
        raise OutOfReach("the argument is too large")
    name = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcsec": "asec",
            "arccsc": "acsc", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"}.get(name, name)  # fmt: skip
    result = getattr(CONTEXT, name)(argument)
    if CONTEXT.isinf(result) and not CONTEXT.isinf(argument):
        raise Undefined("a pole")
    if name in ("sin", "cos", "tan") and abs(result) < abs(argument) * CONTEXT.mpf(10) ** (20 - CONTEXT.dps):
        return Fraction(0)  # of a multiple of pi
    return result


def _of_fractions(exact: Callable[..., int]) -> Callable[..., Value]:
    """The greatest common divisor or the least common multiple, of whole numbers or of fractions."""

    def operation(*parts: Value) -> Value:
        if not all(isinstance(part, Fraction) for part in parts):
            raise Undefined("a common divisor of what is no fraction")
        lower = math.lcm(*(part.denominator for part in parts))
        return Fraction(exact(*(int(part * lower) for part in parts)), lower)

    return operation


def _extreme(select: Callable) -> Callable[..., Value]:
    """The greatest or the least of real numbers."""
    return lambda *parts: select(parts, key=as_float)


OPERATIONS: dict[str, Callable] = {
    "add": _sum,
    "multiply": lambda left, right: both(lambda a, b: a * b, left, right),
    "divide": lambda left, right: both(lambda a, b: a / b, left, right),
    "negative": lambda part: -part,
    "power": _power,
    "root": _root,
    "factorial": _factorial,
    "double factorial": _double_factorial,
    "binomial": _binomial,
    "abs": abs,
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
    "gcd": _of_fractions(math.gcd),
    "lcm": _of_fractions(math.lcm),
    "max": _extreme(max),
    "min": _extreme(min),
    "degree": lambda part: both(lambda a, b: a * b, part, +CONTEXT.pi / 180),
}
