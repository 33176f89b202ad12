"""What an answer can be: a value, words, a collection, an inequality and so on. `reading` makes them of text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verl_dots.rewards.expressions.tree import Node

_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True)
class Value:
    """A number or an expression.

    Attributes:
        node: its tree.
        decimal: it is one number that is written with decimals or a power of ten, and so may be rounded.
        places: digits behind the point of such a number, None for others.
        unit: what stood behind it, "" if nothing did.
    """

    node: Node
    decimal: bool = False
    places: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class Words:
    """What is compared as text."""

    text: str

    @property
    def is_range(self) -> bool:
        """Whether it is two whole numbers with a hyphen between them, the greater one last: from 3 to 5."""
        match = _RANGE.fullmatch(self.text)
        return match is not None and int(match[1]) < int(match[2])


@dataclass(frozen=True)
class Based:
    """A whole number with its base, as in 204_5."""

    digits: str
    base: int

    @property
    def value(self) -> int:
        """What it is worth: 204_5 is 54."""
        sign, digits = (-1, self.digits[1:]) if self.digits.startswith("-") else (1, self.digits)
        return sign * sum(int(digit, 36) * self.base**place for place, digit in enumerate(reversed(digits)))


@dataclass(frozen=True)
class Clock:
    """A time of day; `half` is "a", "p" or "" where the text leaves it open."""

    hour: int
    minute: int
    second: int
    half: str


@dataclass(frozen=True)
class Ratio:
    """Numbers with colons between them."""

    parts: tuple[Answer, ...]


@dataclass(frozen=True)
class Collection:
    """Several answers: a "list" or a "set" in any order, a "tuple" or a "matrix" in this one, sets in a "union".

    A "difference" is of a set and what is left out of it; "cases" are rows of a value and its condition, in any order.

    Attributes:
        brackets: of a tuple, "()" or of an interval also "[)" and so on; of a list, the "or" or "and" between members.
    """

    kind: str
    members: tuple[Answer, ...]
    brackets: str = ""


@dataclass(frozen=True)
class Named:
    """A value with the name that it is given: x = 3, f(x) = 2x, k in {1, 2}."""

    name: str
    answer: Answer


@dataclass(frozen=True)
class Congruence:
    """What is congruent by a modulus: 3 mod 7."""

    answer: Answer
    modulus: Answer


@dataclass(frozen=True)
class Relation:
    """Sides with relations between them: 0 <= x < 1 has three sides and ("<=", "<")."""

    sides: tuple[Answer, ...]
    signs: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Either:
    """A text that can be read in several ways: 153,370 is a number or a list."""

    readings: tuple[Answer, ...]


Answer = Value | Words | Based | Clock | Ratio | Collection | Named | Congruence | Relation | Either
