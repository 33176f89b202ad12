"""Read a .csv file of wandb: a run's history (a column a metric, and _step), or the export of a chart (Step, and
"RUN - METRIC" for each of its metrics)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from verl_dots.reporting.rows import Rows, RunError, merged

HISTORY_STEP, CHART_STEP = "_step", "Step"
GROUPED = "Group: "  # begins the name of a mean over runs
_BOUNDS = ("__MIN", "__MAX")  # of a chart over several runs or steps
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_WITH_COMMA = re.compile(r"[-+]?\d+,\d+(e[-+]?\d+)?", re.IGNORECASE)  # 0,25, and 1,234
_LIKE_A_NUMBER = re.compile(r"[-+]?[\d.,' ]*\d[\d.,' ]* ?%?")  # 50%, and 1,234.5
_EXPORT = "Export it again with commas between columns and points in numbers, as wandb writes it."


def read_csv(path: Path) -> tuple[str, Rows]:
    """The name of the run, and its rows. A name of a chart is its run's, of a history that of the file.

    Raises:
        RunError: the file is no such table, tells of several runs, or has commas in its numbers.
    """
    lines = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        columns = list(lines.fieldnames or ())
        if HISTORY_STEP in columns:
            step, name, keys = HISTORY_STEP, path.stem, {column: column for column in columns}
        elif CHART_STEP in columns:
            step = CHART_STEP
            name, keys = _of_chart(path, columns)
        else:
            raise _no_export(path, columns)
        return name, merged(path, _with_texts(list(_rows(lines, step, keys, path))))
    except csv.Error as error:
        text = f"{path}, after line {lines.line_num}: is no CSV ({error}). {_EXPORT}"
        raise RunError(text, key=str(path), reason="damaged") from error


def _text(path: Path) -> str:
    """The file as text."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        kind = "is UTF-16" if content.startswith(_UTF16) else f"is not UTF-8 ({error.reason})"
        text = f"{path}, line {number}: {kind}. Save it as UTF-8; a spreadsheet calls that CSV UTF-8."
        raise RunError(text, key=str(path), reason="damaged") from error


def _no_export(path: Path, columns: list[str]) -> RunError:
    """The error for a file without a column of steps."""
    for separator, called in _SEPARATORS.items():
        if {HISTORY_STEP, CHART_STEP} & set(separator.join(columns).split(separator)):
            text = f"{path}, line 1: {called} separate its columns. {_EXPORT}"
            return RunError(text, key=str(path), reason="file")
    text = (
        f"{path} is no export of wandb: it has neither a column {HISTORY_STEP!r} (a run's history) nor "
        f"{CHART_STEP!r} (a chart over steps). Its columns: {columns[:8]}."
    )
    return RunError(text, key=str(path), reason="file")


def _of_chart(path: Path, columns: list[str]) -> tuple[str, dict[str, str]]:
    """The run of a chart, and the metric of each of its columns."""
    found = [column.rpartition(" - ") for column in columns if column != CHART_STEP and not column.endswith(_BOUNDS)]
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        text = (
            f"{path} has several columns {repeated[0]!r}: it is a chart of several runs of that name. Export "
            "a chart of each run alone, or its history."
        )
        raise RunError(text, key=str(path), reason="file")
    names = sorted({run for run, dash, _ in found if dash})
    grouped = next((name for name in names if name.startswith(GROUPED)), None)
    if grouped is not None:
        text = (
            f"{path} is a chart of {grouped!r}, a mean over runs, and a report reads one run from a file. Ungroup the "
            "runs and export a chart of each alone, or its history."
        )
        raise RunError(text, key=str(path), reason="file")
    if len(names) != 1:
        text = (
            f"{path} is a chart of {len(names)} runs ({', '.join(names[:5])}), and a report reads one run from a "
            "file. Export a chart of each run alone, or its history."
        )
        raise RunError(text, key=str(path), reason="file")
    return names[0], {f"{run}{dash}{metric}": metric for run, dash, metric in found if dash}


def _rows(lines: csv.DictReader, step: str, keys: Mapping[str, str], path: Path) -> Iterator[tuple[str, dict]]:
    """Rows of numbers and texts; empty cells are not told."""
    for line in lines:
        place = f"line {lines.line_num}"
        if any(line.get(None, ())):
            text = f"{path}, {place}: has more cells than the header. Are there commas in its numbers? {_EXPORT}"
            raise RunError(text, key=str(path), reason="damaged")
        cells = {key: _cell(line[column], f"{path}, {place}: {key}", path) for column, key in keys.items()}
        at = _cell(line[step], f"{path}, {place}: {step}", path)
        if not isinstance(at, float) or at < 0 or not at.is_integer():
            text = f"{path}, {place}: {step} is {line[step]!r}, not a step: an integer of at least 0."
            raise RunError(text, key=str(path), reason="damaged")
        told = {key: value for key, value in cells.items() if value is not None and key != step}
        yield place, {"step": int(at)} | told


def _cell(text: str | None, where: str, path: Path) -> float | str | None:
    """The number of a cell, or its text; None for an empty one and NaN, which stand for no value."""
    text = (text or "").strip()
    if _WITH_COMMA.fullmatch(text):
        raise RunError(f"{where} is {text!r}: a number with a comma. {_EXPORT}", key=str(path), reason="damaged")
    try:
        value = float(text)
    except ValueError:
        return text or None
    return value if value == value else None


def _with_texts(told: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """Rows with the texts that stand where a number belongs: in a column that has numbers, or much like one.

    `merged` names them and takes them out. Columns of text are not told.
    """
    numbers = {key for _, row in told for key, value in row.items() if not isinstance(value, str)}

    def kept(key: str, value: object) -> bool:
        return key in numbers or (isinstance(value, str) and bool(_LIKE_A_NUMBER.fullmatch(value)))

    return [(place, {key: value for key, value in row.items() if kept(key, value)}) for place, row in told]
