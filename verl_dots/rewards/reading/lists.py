"""Texts of several values: what is between them, both signs of a plus or minus, intervals with outward brackets."""

from __future__ import annotations

import re

_OR = re.compile(r"(?<![A-Za-z])or(?![A-Za-z])|\\lor|\\vee", re.IGNORECASE)
_AND = re.compile("and", re.IGNORECASE)
_PLUS, _MINUS = re.compile(r"\\pm(?![a-z])"), re.compile(r"\\mp(?![a-z])")
_END = r"[^\[\](),]+"
_INTERVAL = re.compile(rf"(?P<left>[\[\](])(?P<ends>{_END},{_END})(?P<right>[\[\])])")
_ONE = rf"[\[\](]{_END},{_END}[\[\])]"
_INTERVALS = re.compile(rf"(?P<name>(?:[A-Za-z]\w*\s*(?:=|\\in(?![a-z]))\s*)?)(?P<set>{_ONE}(?:\s*\\cup\s*{_ONE})*)")


def conjunction(separators: list[str]) -> str:
    """What stands between all members of a list, "or" or "and"; "" for commas and the like."""
    if all(map(_OR.search, separators)):
        return "or"
    return "and" if all(map(_AND.search, separators)) else ""


def both_signs(text: str) -> list[str]:
    r"""`1 \pm x` as 1 + x and 1 - x; two signs are independent of each other unless one is `\mp`."""
    if "\\mp" not in text and len(_PLUS.findall(text)) == 2:
        first, second, third = _PLUS.split(text)
        return [f"{first}{a}{second}{b}{third}" for a in "+-" for b in "+-"]
    return [_MINUS.sub(down, _PLUS.sub(up, text)) for up, down in ("+-", "-+")]


def round_ends(text: str) -> str:
    r"""Intervals whose brackets turn outwards where an end is left out, with round ones: `]0, 1[` as `(0, 1)`."""
    match = _INTERVALS.fullmatch(text)
    return text if match is None else match["name"] + _INTERVAL.sub(_with_round_ends, match["set"])


def _with_round_ends(match: re.Match) -> str:
    left, right = match["left"].replace("]", "("), match["right"].replace("[", ")")
    return left + match["ends"] + right
