"""Whether a run that was killed is the run that was not, bit for bit: its rows and its last checkpoint."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from verl_dots import pickles
from verl_dots.checkpoints import checkpoints_in
from verl_dots.manifest import read_manifest

# Readings of the clock and of the machine's memory.
OF_THE_MACHINE = ("timing_", "perf/", "wall_seconds", "train_seconds", "seconds_saved")
# Files of a checkpoint that tell the time and the name of the folder.
OF_THE_FOLDER = ("run.state", "config.yaml")


def differences(run: Path, plain: Path) -> list[str]:
    """In words; none where all rows, those of steps that were done twice too, and all files are the same."""
    return _of_rows(run, plain) + _of_checkpoints(run, plain)


def rows_of(run: Path) -> dict[int, dict[str, Any]]:
    """Metrics of a run folder by step; rows of one step together."""
    rows: dict[int, dict] = {}
    for row in _lines(run):
        rows.setdefault(row["step"], {}).update(row)
    return rows


def computed(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what depends on the machine's speed and memory."""
    return {key: value for key, value in row.items() if not any(part in key for part in OF_THE_MACHINE)}


def _of_rows(run: Path, plain: Path) -> list[str]:
    expected = {step: computed(row) for step, row in rows_of(plain).items()}
    found = []
    for number, row in enumerate(_lines(run), start=1):
        for key, value in computed(row).items():
            if (there := expected.get(row["step"], {}).get(key, "no value")) != value:
                found.append(f"metrics.jsonl, line {number}, step {row['step']}: {key} is {value!r}, not {there!r}")
    mine = rows_of(run)
    for step, row in expected.items():
        if missing := sorted(set(row) - set(mine.get(step, {}))):
            found.append(f"metrics.jsonl: step {step} lacks {len(missing)} figures, such as {missing[:3]}")
    return found


def _of_checkpoints(run: Path, plain: Path) -> list[str]:
    mine, theirs = (checkpoints_in(folder)[-1] for folder in (run, plain))
    if mine.name != theirs.name:
        return [f"the last checkpoint is {mine.name}, not {theirs.name}"]
    checksums, expected = _checksums(mine), _checksums(theirs)
    found = []
    for name in sorted(checksums.keys() | expected.keys()):
        if name not in checksums or name not in expected:
            found.append(f"the last checkpoint {'lacks' if name in expected else 'has'} {name}")
        elif checksums[name] != expected[name] and (what := _different(mine / name, theirs / name)):
            found.append(f"{name} of the last checkpoint differs{what}")
    return found


def _different(mine: Path, theirs: Path) -> str:
    """Of two files that are not the same bytes, where their content differs; nothing where it is the same.

    A pickle writes one value in several ways: a name that two keys share as one object, or as two that are equal.
    """
    if mine.suffix != ".pt":
        return " "
    found, expected = (dict(_values("", pickles.load(file))) for file in (mine, theirs))
    for place in [*expected, *(found.keys() - expected.keys())]:
        if place not in found or place not in expected or not _same(found[place], expected[place]):
            return f" in {place or 'its content'}"
    return ""


def _values(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a file of tensors, with their places in it."""
    if isinstance(value, dict):
        yield place, list(value)
        for key, part in value.items():
            yield from _values(f"{place}/{key}", part)
    elif isinstance(value, list | tuple):
        yield place, len(value)
        for number, part in enumerate(value):
            yield from _values(f"{place}/{number}", part)
    else:
        yield place, getattr(value, "_local_tensor", value)  # a sharded tensor's part of this rank


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        alike = (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and torch.equal(*(values.reshape(-1).view(torch.uint8) for values in (one, other)))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return one == other or (one != one and other != other)


def _checksums(checkpoint: Path) -> dict[str, str | None]:
    listed = read_manifest(checkpoint) or {}
    return {name: said.sha256 for name, said in listed.items() if name not in OF_THE_FOLDER}


def _lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
