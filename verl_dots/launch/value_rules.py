"""Rules that a value of verl's config must follow, each with the words that say so."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verl_dots.settings import is_too_large

MOST_PROCESSES = 1024  # on a machine; more is a slip of the pen that would bring it down


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        words: "must be ...", for the message.
        holds: whether a value is so.
    """

    words: str
    holds: Callable[[Any], bool]


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and not is_too_large(value) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether a value is an int of 64 bits; 2.0 and True are none."""
    return isinstance(value, int) and not isinstance(value, bool) and not is_too_large(value)


def whole(least: int, instead: tuple[int, ...] = (), meaning: str = "") -> Rule:
    """A whole number of at least `least`, or one of the others, which mean something else."""
    others = "".join(f", or {value}" for value in instead) + (f" {meaning}" if meaning else "")
    return Rule(
        f"must be a whole number of {least} or more{others}",
        lambda value: is_whole(value) and (value >= least or value in instead),
    )


def whole_in(least: int, most: int) -> Rule:
    """A whole number of an interval, whose ends belong to it."""
    words = f"must be a whole number in {least}..{most}"
    return Rule(words, lambda value: is_whole(value) and least <= value <= most)


def above(low: float) -> Rule:
    """A finite number above a bound."""
    return Rule(f"must be a finite number above {low:g}", lambda value: is_number(value) and value > low)


def at_least(low: float) -> Rule:
    """A finite number of at least a bound."""
    return Rule(f"must be a finite number of {low:g} or more", lambda value: is_number(value) and value >= low)


def between(low: float, high: float, open_low: bool = False, open_high: bool = False) -> Rule:
    """A number of an interval, whose ends belong to it unless they are open."""
    interval = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"

    def holds(value: Any) -> bool:
        inside = is_number(value) and low <= value <= high
        return inside and not (open_low and value == low) and not (open_high and value == high)

    return Rule(f"must be a number in {interval}", holds)


def choice(*allowed: str) -> Rule:
    """One of some names."""
    return Rule(f"must be one of {', '.join(allowed)}", lambda value: isinstance(value, str) and value in allowed)


def optional(rule: Rule) -> Rule:
    """What a rule allows, or null."""
    return Rule(f"{rule.words}, or null", lambda value: value is None or rule.holds(value))


def names_of(*allowed: str) -> Rule:
    """A list of some names, at least one."""

    def holds(value: Any) -> bool:
        several = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
        return several and all(isinstance(name, str) and name in allowed for name in value)

    return Rule(f"must be a list of names among {', '.join(allowed)}", holds)


FINITE = Rule("must be a finite number", is_number)
FLAG = Rule("must be True or False", lambda value: isinstance(value, bool))
NAME = Rule("must be a text that is not empty", lambda value: isinstance(value, str) and bool(value.strip()))
GROUP = Rule("must be a group of settings, name by name", lambda value: isinstance(value, Mapping))
COUNT = whole(1)
NATURAL = whole(0)
PROCESSES = whole_in(1, MOST_PROCESSES)
SEED = whole_in(0, 2**31 - 1)


def _is_pair_of_shares(value: Any) -> bool:
    """Whether a value is a list of two numbers in [0, 1)."""
    try:
        first, second = value
    except (TypeError, ValueError):
        return False
    return all(is_number(part) and 0 <= part < 1 for part in (first, second))


BETAS = Rule("must be a list of two numbers in [0, 1)", _is_pair_of_shares)
