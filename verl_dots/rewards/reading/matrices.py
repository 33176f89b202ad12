r"""Texts of matrices and of systems of equations: their rows and cells, a factor before, a transposition behind.

The texts are such as `text.latex.clean` has cleaned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from verl_dots.rewards.reading.brackets import split

_KIND = r"(?:[pbB]?matrix|array|smallmatrix)"
_MATRIX = re.compile(
    rf"(?P<factor>.*?)(?:\\cdot|\\times|\*)?\s*\\begin\{{{_KIND}\}}(?:\{{[^{{}}]*\}})?(?P<body>.*)\\end\{{{_KIND}\}}"
    r"\s*(?P<turned>\^\s*\{?\s*(?:T|\\top|\\text\{T\}|\\intercal)\s*\}?)?",
    re.DOTALL,
)
_TURNED = re.compile(r"(?P<inner>[(\[].*[)\]])\s*\^\s*\{?\s*(?:T|\\top|\\text\{T\}|\\intercal)\s*\}?", re.DOTALL)
_RULES = re.compile(r"\\hline|\\\\\s*\[[^\]]*\]")
_SYSTEM = re.compile(
    r"(?:\\\{\s*)?\\begin\{(?P<kind>cases|aligned|align\*?|gathered|split|array)\}(?:\{[^{}]*\})?(?P<body>.*)"
    r"\\end\{(?P=kind)\}",
    re.DOTALL,
)
_CELL, _COMMA = re.compile(r"\s*,?\s*&\s*"), re.compile(r"\s*,\s*")
_IF_IN_TEXT = re.compile(r"^\\text\s*\{\s*(?:if|for|when|where)\s+([^{}]*)\}$")
_IF = re.compile(r"^(?:\\text\s*\{\s*(?:if|for|when|where)\s*\}|(?:if|for|when|where)\b)\s*")


@dataclass(frozen=True)
class MatrixText:
    """A matrix as text: what it is multiplied by ("" for nothing), and its cells by rows."""

    factor: str
    rows: list[list[str]]


def split_matrix(text: str) -> MatrixText | None:
    r"""A matrix with its factor; `[1, 2]^T` is a column. None for other texts."""
    if match := _TURNED.fullmatch(text):
        inner = match["inner"][1:-1]
        cells = [] if re.search(r"[(\[]", inner) else re.split(r"\s*[,;]\s*", inner)
        return MatrixText("", [[cell] for cell in cells]) if len(cells) > 1 else None
    match = _MATRIX.fullmatch(text)
    if match is None or "\\begin" in match["body"]:
        return None
    rows = [[cell.strip() for cell in row.split("&")] for row in _rows(match["body"])]
    if match["turned"]:
        if len({len(row) for row in rows}) != 1:
            return None
        rows = [list(column) for column in zip(*rows, strict=True)]
    return MatrixText(match["factor"].strip(), rows)


def split_system(text: str) -> list[str] | None:
    r"""The equations of `\begin{cases} x = 1 \\ y = 2 \end{cases}`; None for other texts, as of a function by cases."""
    rows = _system_rows(text)
    if rows is None:
        return None
    rows = [re.sub(r"\s*&?\s*=\s*&?\s*", "=", row).strip(" ,.;&") for row in rows]
    return rows if all(row.count("=") == 1 and not re.search("[&,]", row) for row in rows) else None


def split_cases(text: str) -> list[tuple[str, str]] | None:
    r"""The values of a function by cases, each with its condition; None for other texts.

    `\begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}` gives ("x", "x > 0") and
    ("0", "\text{otherwise}").
    """
    rows = _system_rows(text)
    pairs = [split(row.strip(" ,.;"), _CELL if "&" in row else _COMMA) for row in rows or ()]
    if len(pairs) < 2 or any(len(pair) != 2 or not all(pair) for pair in pairs):
        return None
    return [(value.strip(" ,;"), _IF.sub("", _IF_IN_TEXT.sub(r"\1", condition))) for value, condition in pairs]


def _system_rows(text: str) -> list[str] | None:
    match = _SYSTEM.fullmatch(text)
    if match is None or "\\begin" in match["body"] or (match["kind"] == "array" and not text.startswith("\\{")):
        return None
    return _rows(match["body"])


def _rows(body: str) -> list[str]:
    body = _RULES.sub(lambda found: "\\\\" if found[0].startswith("\\\\") else "", body)
    return [row for row in body.split("\\\\") if row.strip()]
