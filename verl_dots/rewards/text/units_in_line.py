r"""Units as texts write them, in the one way in which they are read: `\text{m s}^{-1}`, `\text{m}/\text{s}`."""

from __future__ import annotations

import re

_RAISED = re.compile(r"(\\text\s*\{[^{}]*?)\s*\^\s*\{\s*([-+]?\d+)\s*\}")
_MOST_RAISED = 12
_POWER = r"(?:\s*\^\s*(?:\{\s*-?\d+\s*\}|\d))?"
_WORD = rf"\\text\s*\{{[^{{}}]*\}}{_POWER}"
_WORDS = rf"{_WORD}(?:\s*(?:\\cdot|\\times|\\[,;: ]|\*)?\s*{_WORD})*"
_FRACTION = re.compile(rf"(?<=[\w)}}])\s*\\[dt]?frac\s*\{{\s*({_WORDS})\s*\}}\s*\{{\s*({_WORDS})\s*\}}")
_EACH = re.compile(_WORD)
_IN_BRACKETS = re.compile(
    r"^(\s*[-+]?[\d.,]+)\s*\[\s*(?:\\text\s*\{\s*([^{}]*?)\s*\}|([A-Za-z][A-Za-z/^\d ]{0,11}))\s*\]\s*$"
)


def in_line(text: str) -> str:
    r"""A text whose units are in one line, behind the number: `5\,\frac{\text{m}}{\text{s}}` is `5\text{m}/\text{s}`.

    Powers are written behind the words that they raise, `\text{m s^{-1}}` as `\text{m s}^{-1}`; `5 [m]` is 5 metres.
    """
    for _ in range(_MOST_RAISED):
        text, count = _RAISED.subn(r"\1}^{\2}\\text{", text)
        if not count:
            break
    text = re.sub(r"(\^\{[-+]?\d+\})\\text\{\s*\}", r"\1", text)
    text = re.sub(r"\\mu\s*\\text\s*\{(?=\s*[A-Za-z]{1,2}\s*\})", r"\\text{\\mu ", text)
    text = _IN_BRACKETS.sub(lambda match: rf"{match[1]}\text{{{match[2] or match[3]}}}", text)
    return _FRACTION.sub(_quotient, text)


def _quotient(match: re.Match) -> str:
    return match[1] + "".join("/" + word for word in _EACH.findall(match[2]))
