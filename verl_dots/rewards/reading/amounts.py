r"""Amounts in several units at once: `2\text{ hours }30\text{ minutes}` are 150 minutes, 5 ft 3 in are 63 inches."""

from __future__ import annotations

import re
from fractions import Fraction

from verl_dots.rewards.answers.kinds import Value
from verl_dots.rewards.expressions.tree import number
from verl_dots.rewards.units.sizes import size

_NUMBER = r"\d+(?:\.\d+)?"
_UNIT = r"\\text\s*\{\s*[^{}\d]*?\s*\}|[A-Za-z]+"
_AND = r"(?:\s*,?\s*(?:\\text\s*\{\s*,?\s*and\s*\}|(?<![A-Za-z])and(?![A-Za-z]))\s*|\s*,\s*|\s*)"
_AMOUNT = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>{_UNIT})")
_AMOUNTS = re.compile(rf"{_NUMBER}\s*(?:{_UNIT})(?:{_AND}{_NUMBER}\s*(?:{_UNIT}))+")
_ENDS = re.compile(r"\\text|[{}\s]|,?\s*\band\b\s*\}?\s*$")


def read_amount(text: str) -> Value | None:
    """The sum of amounts of one kind, each in a smaller unit than the one before; None for other texts."""
    if not _AMOUNTS.fullmatch(text):
        return None
    total, last = Fraction(0), None
    for match in _AMOUNT.finditer(text):
        unit = _ENDS.sub("", match["unit"])
        found = size(unit)
        if found is None or (last and (found.powers != last.powers or found.number >= last.number)):
            return None
        total += Fraction(match["number"]) * found.number
        last = found
    return Value(number(total / last.number), unit=unit)
