"""Read runs of verl that have no run folder, by what a tracker of verl (`trainer.logger`) has kept of them.

    file         a .jsonl file; each line {"step": 3, "data": {metric: value}}
    tensorboard  a folder with events.out.tfevents* files, or one of them
    wandb        a .csv file: a run's history, or the export of a chart; see wandb_csv.py

The name of the method is the file's or folder's name, and of a chart that of its run. A name that ends in "-seed3" or
"_seed3" tells the seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_dots.reporting.rows import Rows, RunError, merged, parse, read_rows
from verl_dots.reporting.wandb_csv import read_csv

EVENTS = "events.out.tfevents"
_SEED = re.compile(r"(?P<name>.+)[-_]seed(?P<seed>\d+)")

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
        name, rows = read_csv(path)
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
