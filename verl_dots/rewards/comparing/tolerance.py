r"""How far two numbers may be apart and still be equal.

Exact forms (`\frac{1}{3}`, `2^{99}`, `1234`) must be equal exactly. A number that is written with decimals
may be rounded. It equals a value that no finite decimal writes (1/3, pi) where both agree to six decimals and within
5e-6, relatively, or within 1e-7, relatively. Of two numbers that decimals can write, one must be the other rounded to
six decimals or more. For measured quantities (`measured`) two numbers are equal within 1e-4, relatively, unless both
are written as whole numbers.
"""

from __future__ import annotations

from fractions import Fraction

from verl_dots.rewards.answers.kinds import Value
from verl_dots.rewards.expressions import values
from verl_dots.rewards.expressions.operations import as_float

MEASURED = 1e-4
_ROUNDED, _CLOSE, _NOISE = 5e-6, 1e-7, 5e-16
_DECIMALS = 6


def within_tolerance(gold: Value, answer: Value, left: values.Value, right: values.Value, measured: bool) -> bool:
    """Whether two numbers that are not equal are so within the tolerance; `left` and `right` are their values."""
    whole = all(side.node.kind == "number" and not side.decimal for side in (gold, answer))
    if measured and not whole:
        return values.close(left, right, MEASURED)
    if not (gold.decimal or answer.decimal) or not values.close(left, right, _ROUNDED):
        return False
    if values.close(left, right, _NOISE):
        return True
    if _finite(left) and _finite(right):
        places = min(_places(gold, left), _places(answer, right))
        return places >= _DECIMALS and abs(left - right) <= Fraction(1, 2 * 10**places)
    return values.close(left, right, _CLOSE) or abs(as_float(left) - as_float(right)) <= 0.5 * 10**-_DECIMALS


def _places(side: Value, value: Fraction) -> int:
    """Digits behind the point as written; of a fraction more than any decimal has."""
    if side.places is not None:
        return side.places
    return 0 if value.denominator == 1 else 10**6


def _finite(value: values.Value) -> bool:
    """Whether a value can be written out as a decimal."""
    if not isinstance(value, Fraction):
        return False
    lower = value.denominator
    for prime in (2, 5):
        while lower % prime == 0:
            lower //= prime
    return lower == 1
