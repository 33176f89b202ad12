"""Figures that are measured apart from runs, as a small JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from verl_dots.evidence.cells import Figure
from verl_dots.evidence.records import EvidenceError
from verl_dots.files import read_json, write_atomically

# (combination, method, measure of ours.py) -> figure.
Extra = Mapping[tuple[str, str, str], Figure]
KEY, NUMBERS = ("combination", "method", "measure"), ("value", "low", "high")
DIGITS = 4  # behind the point


def save_extra(extra: Extra, file: Path) -> None:
    """Write figures with their intervals."""
    rows = [
        dict(zip(KEY, key, strict=True))
        | {name: None if (of := getattr(figure, name)) is None else round(of, DIGITS) for name in NUMBERS}
        for key, figure in sorted(extra.items(), key=lambda item: item[0])
    ]
    write_atomically(file, lambda path: path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8"))


def load_extra(file: Path) -> dict[tuple[str, str, str], Figure]:
    """Read what `save_extra` wrote.

    Raises:
        Refusal: it is damaged, or holds something else.
    """
    rows = read_json(file, list, "measure it again")
    if not all(map(_is_row, rows)):
        text = f"{file} does not hold what save_extra writes; measure it again"
        raise EvidenceError(text, key=str(file), reason="damaged")
    return {tuple(row[name] for name in KEY): Figure(*(row[name] for name in NUMBERS)) for row in rows}


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or set(row) != {*KEY, *NUMBERS} or not all(isinstance(row[name], str) for name in KEY):
        return False
    value, *ends = (row[name] for name in NUMBERS)
    return _is_number(value) and (ends == [None, None] or all(map(_is_number, ends)))


def _is_number(of: Any) -> bool:
    return isinstance(of, int | float) and not isinstance(of, bool) and isfinite(of)
