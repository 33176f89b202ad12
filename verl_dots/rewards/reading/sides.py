r"""Relations as answers write them: the sides, the signs between them, and the names that a side may be.

The texts are such as `text.latex.clean` has cleaned.
"""

from __future__ import annotations

import re

from verl_dots.rewards.reading.brackets import split_at

_RELATION = re.compile(
    r"\s*(:=|<=|=<|>=|!=|\\le(?![a-z])|\\ge(?![a-z])|\\ne(?![a-z])|\\in(?![a-z])|\\approx(?![a-z])|\\equiv(?![a-z])|\\to(?![a-z])|=|<|>)\s*"
)
_SIGNS = {
    "\\le": "<=",
    "\\ge": ">=",
    "\\ne": "!=",
    ":=": "=",
    "\\in": "in",
    "\\approx": "~",
    "\\equiv": "~",
    "\\to": "=",
    "=<": "<=",
}
_NAME = re.compile(
    r"(?>\\[A-Za-z]+|[A-Za-z' ,;|()\[\]{}]|_\{[^{}]*\}|_\w|\^\s*\{?\s*(?:\\prime|\*|')\s*\}?|(?<=[A-Za-z])\d"
    r"|(?<=[({,])\d+(?=[)},]))++"
)
_ARGUMENT = (
    r"[-+]?(?:\d+(?:\.\d+)?(?:\s*/\s*\d+)?|\\frac\{[^{}]+\}\{[^{}]+\}|\\sqrt\{[^{}]+\}|\\(?:pi|infty)|e|[a-z](?![a-z]))"
)
_CALL = re.compile(
    r"(?:[A-Zfghpq]|\\(?:phi|varphi|psi|sigma|tau|mu))\s*(?:_(?:\{[^{}]*\}|\w))?"
    r"(?:'+|\^\s*\{\s*(?:-1|\\prime|'|\([a-z\d]\))\s*\}|\^\s*\\prime)?"
    rf"\s*\(\s*{_ARGUMENT}(?:\s*[,;]\s*{_ARGUMENT})*\s*\)"
)
_CHANCE = re.compile(r"(?:P|\\mathbb\{?P\}?|\\Pr|\\text\{Pr?\})\s*\([^()]*(?:[<>=]|\\(?:ge|le|ne)(?![a-z]))[^()]*\)")
_MATRICES = re.compile(r"(?:[A-Z]\s*(?:\^\s*(?:\{\s*(?:-?\d+|T|\\top)\s*\}|T|\\top)\s*)?)+")
_RATIO_NAME = re.compile(r"\\frac\{([^{}]+)\}\{([^{}]+)\}|([^/]+)/([^/]+)|([^:]+):([^:]+)")


def split_signs(text: str) -> tuple[list[str], list[str]]:
    """The sides of a text and the signs between them, each sign in one way of writing."""
    parts, matches = split_at(text, _RELATION)
    return parts, [_SIGNS.get(match[1], match[1]) for match in matches]


def joined(parts: list[str], signs: list[str]) -> str:
    """Sides and the relations between them as one text again."""
    return parts[0] + "".join(f" {sign} {part}" for sign, part in zip(signs, parts[1:], strict=True))


def is_name(text: str, value: str = "") -> bool:
    r"""Whether a text only names a value: `x`, `f(-2)`, `f^{-1}(x)`, `P(X > 2)`, `AB`, a ratio of names, words.

    Args:
        value: what it is said to be; `A^{-1}` names a matrix alone.
    """
    text = text.strip()
    if _CALL.fullmatch(text) or _CHANCE.fullmatch(text) or ("\\begin" in value and _MATRICES.fullmatch(text)):
        return True
    if _NAME.fullmatch(text) and not re.search(r"\\(?:frac|sqrt|pi|cdot|times)(?![a-z])", text):
        return not re.fullmatch(r"[a-z]{2,3}|[ei]|\d+", text)
    ratio = _RATIO_NAME.fullmatch(text)
    return bool(ratio) and all(is_name(part) and len(part.strip()) > 1 for part in ratio.groups() if part is not None)


def bare_name(text: str) -> str:
    r"""A name without spaces, braces, backslashes and `\text`."""
    return re.sub(r"\\text|[\s{}\\]", "", text)
