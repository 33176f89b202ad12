"""Read runs of verl that have no run folder, by what a tracker of verl (`trainer.logger`) has kept of them.

    file         a .jsonl file; each line {"step": 3, "data": {metric: value}}
    tensorboard  a folder with events.out.tfevents* files, or one of them
    wandb        a .csv file: a run's history (a column a metric, and _step), or the export of a chart (Step, and
                 "RUN - METRIC" for each of its metrics)

The name of the method is the file's or folder's name, and of a chart that of its run. A name that ends in "-seed3" or
"_seed3" tells the seed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_dots.reporting.rows import Rows, RunError, merged, parse, read_rows

EVENTS = "events.out.tfevents"
HISTORY_STEP, CHART_STEP = "_step", "Step"
_SEED = re.compile(r"(?P<name>.+)[-_]seed(?P<seed>\d+)")
_BOUNDS = ("__MIN", "__MAX")  # of a chart over several runs or steps

Told = Iterator[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Tracked:
    """What a tracker has kept of a run: the method's name, the seed if the name tells it, and the rows."""

    name: str
    seed: int | None
    rows: Rows


def is_tracked(path: Path) -> bool:
    """Whether a path is one that `read_tracked` reads, by its name."""
    if path.is_dir():
        return any(path.glob(f"{EVENTS}*"))
    return path.is_file() and (path.suffix in (".jsonl", ".csv") or path.name.startswith(EVENTS))


def read_tracked(path: Path) -> Tracked:
    """Read a file or folder for which `is_tracked` holds.

    Raises:
        RunError: it is no such file, or tells of several runs.
    """
    name = path.resolve().name if path.is_dir() else path.stem
    if path.suffix == ".csv":
        name, rows = _wandb(path)
    elif path.suffix == ".jsonl":
        rows = read_rows(path, _of_file_logger)
    else:
        rows = merged(path, _events(path))
        name = path.resolve().parent.name if path.is_file() else name
    found = _SEED.fullmatch(name)
    return Tracked(found["name"], int(found["seed"]), rows) if found else Tracked(name, None, rows)


def no_run(path: Path) -> RunError:
    """The error for a path that is neither a folder nor what a tracker has kept."""
    text = (
        f"{path} is not a folder. Name run folders, each with a metrics.jsonl, or what a tracker of verl has kept: a "
        ".jsonl file of trainer.logger=file, a folder of tensorboard, a .csv of wandb."
    )
    return RunError(text, key=str(path), reason="file")


def _of_file_logger(line: bytes) -> dict[str, Any]:
    row = parse(line)
    data = row.get("data")
    if not isinstance(data, dict):
        raise ValueError('has no object "data", as verl\'s file logger writes it')
    return data | {"step": row["step"]}


def _events(path: Path) -> Told:
    """Scalars in the order in which they were written; those of one step that follow each other are one row."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    number, row = 0, {}
    for file in [path] if path.is_file() else sorted(path.glob(f"{EVENTS}*")):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                array = make_ndarray(value.tensor)
                if array.size != 1 or array.dtype.kind not in "fiu":
                    continue
                if row and row["step"] != event.step:
                    yield f"row {number}", row
                    number, row = number + 1, {}
                row |= {"step": int(event.step), value.tag: float(array.item())}
    if row:
        yield f"row {number}", row


def _wandb(path: Path) -> tuple[str, Rows]:
    """The name of the run, and its rows."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        columns = list(lines.fieldnames or ())
        if HISTORY_STEP in columns:
            step, name, keys = HISTORY_STEP, path.stem, {column: column for column in columns}
        elif CHART_STEP in columns:
            step = CHART_STEP
            name, keys = _of_chart(path, columns)
        else:
            text = (
                f"{path} is no export of wandb: it has neither a column {HISTORY_STEP!r} (a run's history) nor "
                f"{CHART_STEP!r} (a chart over steps). Its columns: {columns[:8]}."
            )
            raise RunError(text, key=str(path), reason="file")
        return name, merged(path, _csv_rows(lines, step, keys, path))


def _of_chart(path: Path, columns: list[str]) -> tuple[str, dict[str, str]]:
    """The run of a chart, and the metric of each of its columns."""
    found = [column.rpartition(" - ") for column in columns if column != CHART_STEP and not column.endswith(_BOUNDS)]
    names = sorted({run for run, dash, _ in found if dash})
    if len(names) != 1:
        text = (
            f"{path} is a chart of {len(names)} runs ({', '.join(names[:5])}), and a report reads one run from a "
            "file. Export a chart of each run alone, or its history."
        )
        raise RunError(text, key=str(path), reason="file")
    return names[0], {f"{run}{dash}{metric}": metric for run, dash, metric in found if dash}


def _csv_rows(lines: csv.DictReader, step: str, keys: dict[str, str], path: Path) -> Told:
    """Rows of numbers; cells without a number, and columns of text, are not told."""
    for line in lines:
        place = f"line {lines.line_num}"
        numbers = {key: _number(line[column]) for column, key in keys.items() if column != step}
        at = _number(line[step])
        if at is None or at != int(at) or at < 0:
            text = f"{path}, {place}: {step} is {line[step]!r}, not a step: an integer of at least 0."
            raise RunError(text, key=str(path), reason="damaged")
        yield place, {"step": int(at)} | {key: value for key, value in numbers.items() if value is not None}


def _number(text: str | None) -> float | None:
    """The number of a cell; None for an empty one, for text and for NaN and infinity."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
