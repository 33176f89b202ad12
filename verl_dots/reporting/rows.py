"""Read `metrics.jsonl`: one flat JSON object a line, with an integer `step`.

What is damaged is skipped and named, never mended by guessing: every function that skips something also returns notes
that name the file, the line and what is wrong with it.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from verl_dots.files import parse_json
from verl_dots.settings import Refusal

CUMULATIVE = ("wall_seconds", "train_seconds", "generated_tokens")
# Runs of earlier versions lack the last without a word.
TOTALS = (*CUMULATIVE, "generated_rollouts")
MOST_STEPS = 10**9
HUGE = 1e300
NO_NUMBER = "not a number; it does not count"  # ends a note on a value
_MOST_NAMED = 5
_TIMING = "timing_s/"
_VALIDATION = "val-core/"


class RunError(Refusal):
    """A run folder that cannot be reported on; the message says what to do."""


@dataclass(frozen=True)
class Rows:
    """The rows of a metrics file.

    Attributes:
        values: one dict a step, ascending in `step`.
        resumes: how often the file returns to a step that it had told already.
        notes: what was skipped or is odd, one sentence each.
    """

    values: list[dict[str, Any]]
    resumes: int
    notes: tuple[str, ...]

    @property
    def by_step(self) -> dict[int, dict[str, Any]]:
        """The same, by their step."""
        return {row["step"]: row for row in self.values}


def parse(line: bytes) -> dict[str, Any]:
    """Return the object of a line.

    Raises:
        ValueError: what is wrong, as the end of a sentence about the line.
    """
    try:
        row = parse_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"is not text ({error.reason})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg} at character {error.colno}): {_excerpt(line)}") from error
    except ValueError as error:  # numbers of thousands of digits, thousands of brackets
        raise ValueError(f"is not JSON that can be read: {_excerpt(line)}") from error
    step = row.get("step") if isinstance(row, dict) else None
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= MOST_STEPS:
        raise ValueError(f"must be a JSON object with an integer 'step' of at least 0, not {_excerpt(line)}")
    return row


def read_rows(file: Path, read_line: Callable[[bytes], dict[str, Any]] = parse) -> Rows:
    """Read a metrics file into one dict a step, ascending; see `merged`.

    Args:
        read_line: as `parse`, for a file whose lines have another form.
    """
    told, damaged = [], []
    lines = file.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            told.append((f"line {number}", read_line(line)))
        except ValueError as error:
            cut = number == len(lines)  # only a line without its newline can be half-written
            damaged.append(f"line {number} {'is cut short; did the run crash?' if cut else error}")
    found = merged(file, told)
    return Rows(found.values, found.resumes, (*(f"{file}, {text}: skipped." for text in _first(damaged)), *found.notes))


def merged(file: Path, told: Iterable[tuple[str, dict[str, Any]]]) -> Rows:
    """What a file tells, in its order, as one dict a step, ascending.

    Rows of the same step are merged, key by key, the later one winning; where both are of its training the later one
    counts alone. A row that returns to a step told before
    begins a resumed life of the run: what the file said about later steps belongs to the life that crashed and is
    dropped. A row of a smaller step that was not told before is merely out of order: it is sorted in and named.

    Args:
        told: where each row stands in the file, as "line 3", and the row with its `step`.
    """
    rows: dict[int, dict[str, Any]] = {}
    values, unordered, repeated, again = [], [], [], []
    resumes, newest = 0, -1
    for place, row in told:
        step = row["step"]
        if step < newest and step in rows:
            rows = {earlier: kept for earlier, kept in rows.items() if earlier <= step}
            resumes, newest = resumes + 1, step
            if step == 0 or (step == 1 and _tells_again(rows[step], row)):
                again.append(place)
        elif step < newest:
            unordered.append(f"{place} (step {step})")
        elif step == newest and _tells_again(rows[step], row):
            repeated.append(f"{place} (step {step})")
        newest = max(newest, step)
        values += _check_values(row, place)
        before = rows.get(step, {})
        rows[step] = row if _tells_again(before, row) else {**before, **row}
    notes = [f"{file}, {text}." for text in _first(values)]
    if unordered:
        notes.append(f"{file} is out of order: {', '.join(_first(unordered))}. Its rows were sorted by step.")
    if again:
        notes.append(
            f"{file} begins again at {', '.join(_first(again))}: what was told before does not count. If it is of "
            "another run, give each run a file or folder of its own."
        )
    if repeated:
        notes.append(
            f"{file} tells steps twice: {', '.join(_first(repeated))}. The later counts; did two runs write it?"
        )
    return Rows([rows[step] for step in sorted(rows)], resumes, tuple(notes))


def as_table(rows: Sequence[dict[str, Any]], path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return rows as a table of numbers and notes on it; what is no number is NaN, totals always have a column.

    A cumulative cost that is negative or falls between steps is wrong somewhere: the whole column becomes NaN, so that
    nothing is measured against it. Negative seconds of a phase of a step become NaN.
    """
    table = pd.DataFrame(list(rows))
    columns = {name: pd.to_numeric(table[name], errors="coerce") for name in table.columns}
    table = pd.DataFrame(columns).reindex(columns=[*columns, *(c for c in TOTALS if c not in columns)])
    table = table.replace([np.inf, -np.inf], np.nan).astype({name: float for name in TOTALS})
    lacking = [name for name in CUMULATIVE if table[name].isna().all()]
    notes = [f"{path} tells no {', no '.join(lacking)}."] if lacking else []
    for name in TOTALS:
        known = table[name].dropna()
        if (known < 0).any() or (known.diff() < 0).any():
            notes.append(f"{path}: cumulative {name} is negative or falls between steps; it is not used.")
            table[name] = np.nan
    if (table["train_seconds"] > 1.001 * table["wall_seconds"] + 1).any():
        notes.append(f"{path}: train_seconds exceed wall_seconds, which include them; one of the two is wrong.")
    for name in (column for column in table.columns if column.startswith(_TIMING)):
        if (table[name] < 0).any():
            notes.append(f"{path}: {name} is negative in some steps; it counts as 0 in these.")
            table[name] = table[name].where(~(table[name] < 0))
    if table["step"].min() > 1:
        notes.append(f"{path} has no row before step {table['step'].min()}: its totals may lack the steps before.")
    missing = sorted(set(range(int(table["step"].min()), int(table["step"].max()) + 1)) - set(table["step"]))
    if missing:
        notes.append(f"{path} has no row for {_steps(missing)}.")
    return table, tuple(notes)


def _tells_again(row: dict[str, Any], again: dict[str, Any]) -> bool:
    """Whether two lines of one step are both of its training; a run that resumes there only validates again."""
    return f"{_TIMING}step" in row and f"{_TIMING}step" in again


def _check_values(row: dict[str, Any], place: str) -> list[str]:
    """Take what is no finite number out of `row`; return what is worth a note.

    Null and NaN are normal in most metrics, but not in an accuracy or a total.
    """
    found = []
    for key, value in row.items():
        is_number = isinstance(value, int | float)
        if is_number and abs(value) < HUGE:  # False for NaN
            continue
        row[key] = None
        expected = value is None or value != value
        if not expected or key in CUMULATIVE or key.startswith(_VALIDATION):
            shown = "null" if value is None else repr(value)[:40]
            found.append(f"{place} (step {row['step']}): {key} is {shown}, {NO_NUMBER}")
    return found


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", errors="replace")
    return repr(text if len(text) <= 60 else text[:60] + "...")


def _first(found: list[str]) -> list[str]:
    """Cut a list for a reader."""
    return found if len(found) <= _MOST_NAMED else [*found[:_MOST_NAMED], f"and {len(found) - _MOST_NAMED} more"]


def _steps(steps: list[int]) -> str:
    """Name steps by their ranges: "steps 3-4, 7"."""
    ranges: list[list[int]] = []
    for step in steps:
        if ranges and ranges[-1][1] == step - 1:
            ranges[-1][1] = step
        else:
            ranges.append([step, step])
    texts = _first([str(first) if first == last else f"{first}-{last}" for first, last in ranges])
    return f"step{'s' * (len(steps) > 1)} {', '.join(texts)}"
