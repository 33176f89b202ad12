r"""What stands behind an answer and is no part of its value: `k \in \mathbb{Z}`, `\pmod{7}`.

The texts are such as `text.latex.clean` has cleaned.
"""

from __future__ import annotations

import re

_ALL = "(?: (?:all|any|every|each|some))"
_EACH = "(?: (?:all|any|every|each)| some(?=[ a-z-]* (?:integer|constant)))"
_NUMBERS = "(?: (?:real|positive|integer|number|constant|non-?zero)s?)*"
_FOR = rf"\\text\{{\s*,?\s*(?:for|where|with){_ALL}?{_NUMBERS}\s*\}}|\\forall"
_SET = r"\\mathbb\s*\{?\s*[A-Z]\s*\}?(?:\s*[_^]\s*(?:\{[^{}]*\}|[+\d*]))*"
_WHOLE = r"(?:(?:is|any|an|a|some|positive|non-?negative) )*(?:integer|(?:natural|real|whole) number)s?"
_FOR_WORD = rf"(?<![A-Za-z\\])(?:for|where|with){_ALL}?(?![A-Za-z])"
_CONDITION = re.compile(
    rf"(?:\(?\s*(?:{_FOR}|{_FOR_WORD})\s*(?P<letters>[a-zA-Z])(?:\s*,\s*[a-zA-Z])*|[,;(]\s*(?P<letter>[a-zA-Z]))"
    rf"\s*(?:\\in\s*{_SET}|\\text\{{\s*{_WHOLE}\s*\}}|{_WHOLE})\s*\)?\s*$"
)
_EVERY = re.compile(rf"\s*,?\s*(?:\\text\{{\s*,?\s*for{_EACH}{_NUMBERS}\s*\}}|\\forall)\s*[a-z]?\s*(?:\\in\s*{_SET})?$")
_MODULUS = re.compile(
    r"\(?\s*(?:\\[pb]?mod|(?<![A-Za-z\\])mod)(?![A-Za-z])\s*(?P<modulus>\{[^{}]+\}|[A-Za-z]|\d+)\s*\)?$"
    r"|\(?\s*\\text\{\s*\(?\s*(?:mod|modulo)\s*\}\s*(?P<letter>\{[^{}]+\}|[A-Za-z]|\d+)\s*\)?$"
    r"|\\text\{\s*\(?\s*(?:mod|modulo)(?P<text>\s*\d+|\s+[A-Za-z])\s*\)?\s*\}$"
    r"|\s+modulo\s+(?P<word>\d+|[A-Za-z])$"
)
_BOUNDED = re.compile(r"[<>]|\\[lg]e(?![a-z])|\\in(?![a-z])")


def without_condition(text: str) -> str:
    r"""A text without what its letter stands for: `2k\pi, k \in \mathbb{Z}` is `2k\pi`.

    Bounds keep theirs, for `x > 0` is another set than the integers of it.
    """
    match = _CONDITION.search(text)
    if match is not None:
        core = text[: match.start()].strip(" ,;")
        letter = match["letters"] or match["letter"]
        of_core = letter in re.sub(r"\\[A-Za-z]+", " ", core)
        if of_core and _closed(core) and not _BOUNDED.search(core):
            return core
    return _EVERY.sub("", text)


def split_modulus(text: str) -> tuple[str, str]:
    r"""What is congruent, and the modulus: `3 \pmod 7` is 3 and 7; "" for none, or for one of several congruences."""
    match = _MODULUS.search(text)
    core = text[: match.start()].strip(" ,;") if match else ""
    if not core or not _closed(core) or re.search(r"(?<![A-Za-z])(?:[pb]?mod|modulo)(?![A-Za-z])", core):
        return text, ""
    return core, next(part for part in match.groups() if part)


def _closed(text: str) -> bool:
    return all(text.count(left) == text.count(right) for left, right in ("()", "{}", "[]"))
