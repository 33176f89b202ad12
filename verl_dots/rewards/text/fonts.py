r"""Fonts and marks of an answer's text: dropped, but that words and letters in a font are words in `\text{}`."""

from __future__ import annotations

import re

_OLD = "rm|bf|it|sf|tt|sl|sc"
_NAMED = r"text(?:bf|it|rm|sf|sc|tt|normal)?|[mh]box|math(?:rm|bf|it|sf|tt|normal)|boldsymbol|bm|operatorname\*?|emph"
_FONT = re.compile(rf"\\(?:{_NAMED}|{_OLD}|u(?:nder)?line)\s*(?=\{{)")
_FONT_OF_ONE = re.compile(r"\\(?:math(?:rm|bf|it|sf|tt|normal)|boldsymbol|bm)\s*([A-Za-z0-9])(?![A-Za-z0-9])")
_OLD_FONT_OF_WORD = re.compile(rf"\{{?\\(?:{_OLD})\s+([A-Za-z]+)\}}?")
_OLD_FONT = re.compile(rf"\\(?:{_OLD}|cal|boldmath|ensuremath)(?![A-Za-z])\s*")
_INNER = re.compile(rf"(\\text\s*\{{)\s*\\(?:{_OLD})\s+")
_BLACKBOARD = re.compile(r"\\(?:Bbb|mathbb)\s*\{?\s*([A-Z])(?![A-Za-z])\s*\}?")
_SET = re.compile(
    r"(\\(?:in|subset|subseteq)\s*)\\(?:mathbf|mathrm|text|textbf|bf|rm)\s*\{?\s*([RZNQC])(?![A-Za-z])\s*\}?"
)
_VECTOR = re.compile(
    r"\\(?:wide)?(?:hat|vec|overrightarrow)\s*\{?\s*(?:\\(?:mathbf|mathrm|boldsymbol|bm|text|textbf)\s*)?"
    r"\{?\s*(?:\\([ij])math|([ijk]))(?![A-Za-z])\s*\}{0,2}"
)
_LEADING = re.compile(
    r"^\s*(?:(?:\\(?:R|Longr|r|longr)ightarrow|\\implies|\\therefore|\\to|[⇒⟹→∴➔➡])(?![A-Za-z])\s*)+(?=\S)"
)
_TRAILING = re.compile(
    r"(?<=[\w)}\]])\s*(?:\\(?:checkmark|blacksquare|square|Box|qed|quad|qquad)(?![A-Za-z])|[✓✔✅∎■□])\s*$"
)
_LINE_BREAK = re.compile(r"\\\\\s*\[\s*-?[\d.]+\s*(?:mm|cm|pt|em|ex)\s*\]")


def without_fonts(text: str) -> str:
    r"""Drop fonts and marks: `{\bf 5}` is `{5}`, `\mathbf x` is `\text{x}`, `\hat{\mathbf{i}}` is `i`.

    Sets are `\mathbb{R}` in every way of writing them; signs that lead to an answer or end it are dropped.
    """
    text = _TRAILING.sub("", _LEADING.sub("", _LINE_BREAK.sub(r"\\\\", text)))
    text = _BLACKBOARD.sub(r"\\mathbb{\1}", _SET.sub(r"\1\\mathbb{\2}", text))
    text = _VECTOR.sub(lambda match: (match[1] or match[2]) + " ", text)
    text = _FONT_OF_ONE.sub(r"\\text{\1}", text)
    text = _OLD_FONT_OF_WORD.sub(r"\\text{\1}", _INNER.sub(r"\1", text))
    return _OLD_FONT.sub("", _FONT.sub(r"\\text", text))
