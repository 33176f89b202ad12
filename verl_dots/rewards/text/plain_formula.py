r"""The last number of a text without delimiters, with the formula that it is a piece of: `2^6`, `sqrt(2)`, `5 cm^2`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))"
_TEN = (
    r"(?:[eE][-+−]?\d+(?![\w.])|[ \t]*(?:[x×·⋅*]|\\times|\\cdot)[ \t]*10"
    r"(?:[ \t]*(?:\^|\*\*)[ \t]*(?:\{[-+−]?\d+\}|\([-+−]?\d+\)|[-+−]?\d+)|[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+))"
)
_TOKEN = re.compile(
    rf"(?P<number>(?<![A-Za-z0-9_.\\])[-−]?(?:\\?[$€£¥])?{_DIGITS}(?:{_TEN}|(?:\s?/\s?\d+)?%?))"
    r"|(?P<operand>\\(?:text|mathrm|textnormal|mbox)\s*\{[^{}]*\}|\d+(?:\.\d+)?|[√∛π∞°²³⁴⁵⁶⁷⁸⁹⁰¹⁻ⁿ]|\\[A-Za-z]+(?<!\\times)(?<!\\cdot)(?<!\\div)(?<!\\pm)"
    r"|(?<![A-Za-z\\])(?:sqrt|cbrt|arcsin|arccos|arctan|sin|cos|tan|log|ln|exp|pi|[A-Za-z])(?![A-Za-z]))"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<operator>(?<=[\w)])\*\*(?=[\w({-])|\\(?:times|cdot|div|pm)|[-+*/^·⋅×÷−±_]|!(?=[ \t]*[-+*/^·×÷)]))"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,)|(?P<gap>[ \t]+)|(?P<other>.)",
    re.DOTALL,
)
_CALLED = re.compile(r"(?:sqrt|cbrt|arc(?:sin|cos|tan)|sin|cos|tan|log|ln|exp|\\[A-Za-z]+)")
_RAISED = re.compile(r"(?:\^|\*\*|/)[-\w({]|[²³]")
_MINUS = re.compile(r"(?i)(?<!\w)(?<!\d )(?:minus|negative)[ \t]+$")  # 7 minus 3 is a difference
_LOOSE = "*/^_·⋅×÷+ \t"


@dataclass
class _Run:
    """Tokens side by side that are one formula: where it starts and ends, and whether a number is in it."""

    start: int
    end: int
    number: bool


def last_formula(text: str) -> tuple[str, int]:
    """The formula of the last number of a text, and where it ends; "" where there is none."""
    runs = [run for run in _runs(text) if run.number]
    if not runs:
        return "", 0
    start, end = runs[-1].start, runs[-1].end
    formula = _balanced(text[start:end]).strip(_LOOSE)
    if formula[:1] in ("-", "−") and text[:start][-1:].isalnum():
        formula = formula[1:]  # of a hyphen
    if formula[:1].isdigit() and _MINUS.search(text[:start]):
        formula = "-" + formula
    return formula, end


def _runs(text: str) -> list[_Run]:
    """The formulas of a text. Spaces part them, but not round an operator, in brackets and behind a function's name."""
    tokens = [token for token in _TOKEN.finditer(text) if token[0]]
    found: list[_Run] = []
    open_run, depth = False, 0
    for index, token in enumerate(tokens):
        kind = token.lastgroup
        if kind == "gap" or (kind == "comma" and depth > 0):
            open_run = open_run and (depth > 0 or _joins(text, tokens, index))
            continue
        if kind in ("other", "comma") or (kind == "word" and not _is_unit(text, tokens, index)):
            open_run, depth = False, 0
            continue
        if not open_run:
            found.append(_Run(token.start(), token.end(), False))
            open_run, depth = True, 0
        depth = max(0, depth + {"open": 1, "close": -1}.get(kind, 0))
        found[-1].end = token.end()
        found[-1].number |= kind == "number"
    return found


def _joins(text: str, tokens: list[re.Match], index: int) -> bool:
    """Whether the formula on both sides of a space is one."""
    before, after = tokens[index - 1], tokens[index + 1] if index + 1 < len(tokens) else None
    if after is None:
        return False
    if before.lastgroup == "operator":
        return True
    if after[0].endswith("}"):  # \text{ cm}
        return True
    if after.lastgroup == "operator":
        return text[after.end() : after.end() + 1] in (" ", "\t") or after[0] not in "-+−±_"
    called = before.lastgroup == "operand" and _CALLED.fullmatch(before[0])
    return bool(called) or _is_unit(text, tokens, index + 1)


def _is_unit(text: str, tokens: list[re.Match], index: int) -> bool:
    """Whether a word is a piece of a formula: raised, divided by, or behind a slash, as in `5 cm^2` and `km/h`."""
    token = tokens[index]
    if token.lastgroup not in ("word", "operand") or not token[0].isalpha():
        return False
    behind = index > 1 and tokens[index - 1][0] == "/" and tokens[index - 2].lastgroup in ("word", "operand", "number")
    return behind or _RAISED.match(text, token.end()) is not None


def _balanced(formula: str) -> str:
    """The part of a formula behind a bracket that is not closed, or before one that was not opened."""
    opened: list[int] = []
    for index, mark in enumerate(formula):
        if mark in "([{":
            opened.append(index)
        elif mark in ")]}":
            if not opened:
                return formula[:index]
            opened.pop()
    if not opened:
        return formula
    before, after = formula[: opened[0]], formula[opened[-1] + 1 :]
    return after if re.search(r"\d", after) else before
