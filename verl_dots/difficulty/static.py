"""Difficulties that come with the data: one number a row, in any unit, greater is harder."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from verl_dots.data.file_lists import QuestionError

SHOWN = 5


def static_difficulties(
    rows: Iterable[Mapping[str, Any]], field: str, key: str, name_of: Callable[[int], str] = "row {}".format
) -> np.ndarray:
    """[N] difficulty of each row.

    Args:
        rows: with `field` in them.
        field: a column, or a field of one ("extra_info.difficulty").
        key: the setting that names the field.
        name_of: what the row at a position is called in messages.

    Raises:
        QuestionError: rows without a finite number there, all of them counted. None counts as 0.
    """
    found, bad = [], []
    for place, row in enumerate(rows):
        value: Any = row
        for name in field.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if number and math.isfinite(value):
            found.append(float(value))
        else:
            bad.append(f"{name_of(place)} has {value!r:.60}")
    if bad:
        raise QuestionError(
            f"{len(bad)} of {len(found) + len(bad)} rows have no finite number in {field!r} "
            f"({key}): {'; '.join(bad[:SHOWN])}",
            key=key,
            reason="data",
        )
    return np.array(found, dtype=np.float64)
