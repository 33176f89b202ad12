r"""Brackets in a text: where they close, and splitting outside them. A half-open interval's may be of two kinds."""

from __future__ import annotations

import re
from collections.abc import Iterator

OPENING = ("\\{", "\\langle", "(", "[", "{", "\\begin")
CLOSING = ("\\}", "\\rangle", ")", "]", "}", "\\end")


def unwrapped(text: str) -> str:
    """A text without braces around all of it."""
    while text.startswith("{") and first_end(text) == len(text):
        text = text[1:-1].strip()
    return text


def first_end(text: str) -> int:
    """The index behind the bracket that closes the first one."""
    depth = 0
    for index, size, change in _brackets(text):
        depth += change
        if depth == 0:
            return index + size
    return -1


def _brackets(text: str) -> Iterator[tuple[int, int, int]]:
    """Where a bracket stands, its length, and 1 if it opens, -1 if it closes."""
    index = 0
    while index < len(text):
        for marks, change in ((OPENING, 1), (CLOSING, -1)):
            mark = next((mark for mark in marks if text.startswith(mark, index)), None)
            if mark is not None:
                yield index, len(mark), change
                index += len(mark) - 1
                break
        else:
            if text[index] == "\\":
                index += 1
        index += 1


def _depths(text: str) -> list[int]:
    """For each character how many brackets are open before it."""
    depths = [0] * (len(text) + 1)
    for index, _, change in _brackets(text):
        depths[index] += change
    total, result = 0, []
    for index in range(len(text) + 1):
        result.append(total)
        total += depths[index]
    return result


def depth(text: str) -> int:
    """How many brackets are open at once, at most."""
    return max(_depths(text))


def split(text: str, pattern: re.Pattern) -> list[str]:
    """The parts of a text between a pattern's matches outside all brackets."""
    return split_at(text, pattern)[0]


def split_at(text: str, pattern: re.Pattern) -> tuple[list[str], list[re.Match]]:
    """The parts of a text between a pattern's matches outside all brackets, and these matches."""
    depths = _depths(text)
    parts, matches, start, position = [], [], 0, 0
    while (match := pattern.search(text, position)) is not None:
        content = match.start() + len(match[0]) - len(match[0].lstrip())
        if depths[content] == 0 and match.end() > match.start():
            parts.append(text[start : match.start()].strip())
            matches.append(match)
            start = position = match.end()
        else:
            position = match.start() + 1
    parts.append(text[start:].strip())
    return parts, matches
