"""Load run folders.

A run folder holds `metrics.jsonl` (one flat JSON object a line, with an integer `step`; step 0
is the validation before training), `run.json` (name, seed, versions, times) and `config.yaml`
(the resolved configuration). After a crash and resume the file tells some steps twice; see
`read_rows` for what is kept.
"""

from __future__ import annotations

import difflib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

logger = logging.getLogger(__name__)

METRICS_FILE = "metrics.jsonl"
CUMULATIVE = ("wall_seconds", "train_seconds", "generated_tokens")
_VALIDATION_KEY = re.compile(r"val-core/(?P<source>.+)/(?P<measure>acc|reward)/mean@(?P<samples>\d+)")


class RunError(ValueError):
    """A run folder that cannot be reported on; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        path: the run folder.
        name: experiment name, the label of the method; runs that share it are its seeds.
        rows: one row a step, ascending in `step`; one column a metric; absent values are NaN.
            `wall_seconds`, `train_seconds` and `generated_tokens` always exist.
        metric_keys: the columns whose mean is the run's validation accuracy.
        finished: ISO time, or None while the run is under way or after a crash.
    """

    path: Path
    name: str
    seed: int | None
    rows: pd.DataFrame
    metric_keys: tuple[str, ...]
    versions: dict[str, str]
    started: str | None
    finished: str | None


def load_run(path: str | Path, metric: str | None = None) -> Run:
    """Load the run in folder `path`.

    Args:
        metric: the one metric to take for the validation accuracy; None finds verl's own.

    Raises:
        RunError: no folder, no metrics, a bad line, or no validation in the run.
    """
    path = Path(path)
    rows = _as_table(read_rows(_metrics_file(path)), path)
    info = _read_info(path)
    return Run(
        path=path,
        name=str(info["name"]),
        seed=info.get("seed"),
        rows=rows,
        metric_keys=find_metric_keys(rows, path, metric),
        versions=dict(info.get("versions") or {}),
        started=info.get("started"),
        finished=info.get("finished"),
    )


def group_by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return {method name: its runs}, in the order in which the names first occur."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        same_seed = [other.path for other in groups.get(run.name, []) if other.seed == run.seed]
        if same_seed:
            logger.warning("%s and %s are both %r with seed %s.", same_seed[0], run.path, run.name, run.seed)
        groups.setdefault(run.name, []).append(run)
    return groups


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Read a metrics file into one dict a step, ascending.

    Lines of the same step are merged, key by key, the later one winning. A line whose step is
    smaller than one before it begins a resumed life of the run: what the file said about later
    steps belongs to the life that crashed and is dropped. A last line that was cut short by a
    crash is skipped with a warning.

    Raises:
        RunError: any other line that is not a JSON object with an integer `step` of at least 0.
    """
    rows: dict[int, dict[str, Any]] = {}
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):  # only a line without its newline can be half-written
                logger.warning("%s, line %d is cut short and was skipped; did the run crash?", file, number)
                continue
            raise RunError(f"{file}, line {number} is not JSON ({error}): {line[:80]!r}. Remove or mend it.") from error
        step = row.get("step") if isinstance(row, dict) else None
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            raise RunError(
                f"{file}, line {number} must be a JSON object with an integer 'step' of at least 0, "
                f"not {line[:80]!r}. Remove or mend it."
            )
        if any(earlier > step for earlier in rows):
            rows = {earlier: values for earlier, values in rows.items() if earlier <= step}
        rows[step] = {**rows.get(step, {}), **row}
    return [rows[step] for step in sorted(rows)]


def find_metric_keys(rows: pd.DataFrame, path: Path, metric: str | None = None) -> tuple[str, ...]:
    """Return the columns that make up the validation accuracy.

    verl writes `val-core/<source>/acc/mean@N`, one a data source; without any of these,
    `val-core/<source>/reward/mean@N`. If a source has several N, the largest counts.

    Raises:
        RunError: there is none, or `metric` is not a column with values.
    """
    columns = [name for name in rows.columns if rows[name].notna().any()]
    if metric is not None:
        if metric in columns:
            return (metric,)
        near = difflib.get_close_matches(metric, columns, n=3, cutoff=0.4)
        hint = f"Nearest: {near}." if near else f"Known: {sorted(columns)}."
        raise RunError(f"{path} has no metric {metric!r}. {hint}")
    matches = [match for match in map(_VALIDATION_KEY.fullmatch, columns) if match]
    for measure in ("acc", "reward"):
        largest: dict[str, re.Match] = {}
        for match in matches:
            best = largest.get(match["source"])
            if match["measure"] == measure and (best is None or int(best["samples"]) < int(match["samples"])):
                largest[match["source"]] = match
        if largest:
            return tuple(sorted(match.string for match in largest.values()))
    validation = sorted(name for name in columns if name.startswith("val"))
    raise RunError(
        f"{path} has no validation accuracy: no key val-core/<source>/acc/mean@N or .../reward/mean@N. "
        f"Validation keys it has: {validation}; all keys: {sorted(columns)}. Train with trainer.test_freq > 0 and "
        "trainer.val_before_train=True, or name one of these keys with --metric."
    )


def _metrics_file(path: Path) -> Path:
    file = path / METRICS_FILE
    if file.is_file():
        return file
    if not path.is_dir():
        raise RunError(f"{path} is not a folder. Name run folders, each with a {METRICS_FILE}.")
    inside = sorted(child.parent.name for child in path.glob(f"*/{METRICS_FILE}"))
    hint = f"Its subfolders {inside} have one: name those." if inside else "Is it the folder of a training run?"
    raise RunError(f"{path} has no {METRICS_FILE}. {hint}")


def _as_table(rows: list[dict[str, Any]], path: Path) -> pd.DataFrame:
    if not rows:
        raise RunError(f"{path / METRICS_FILE} is empty: the run ended before its first validation or step.")
    table = pd.DataFrame(rows)
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in table.columns}
    table = pd.DataFrame(numbers).reindex(columns=[*numbers, *(c for c in CUMULATIVE if c not in numbers)])
    for name in CUMULATIVE:
        if (table[name].dropna().diff() < 0).any():
            logger.warning("%s: cumulative %s goes down between steps; measures against it are wrong.", path, name)
    return table.astype({name: float for name in CUMULATIVE})


def _read_info(path: Path) -> dict[str, Any]:
    """Return run.json's fields; what it lacks comes from config.yaml, then from the folder's name."""
    info: dict[str, Any] = {}
    file = path / "run.json"
    if file.is_file():
        try:
            info = json.loads(file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise RunError(f"{file} is not JSON ({error}). Mend it, or remove it to use config.yaml.") from error
    if info.get("name") is None or info.get("seed") is None:
        config_file = path / "config.yaml"
        config = OmegaConf.load(config_file) if config_file.is_file() else OmegaConf.create()
        fallback = {
            "name": OmegaConf.select(config, "trainer.experiment_name") or path.resolve().name,
            "seed": OmegaConf.select(config, "dots.seed"),
        }
        info |= {key: value for key, value in fallback.items() if info.get(key) is None}
        logger.warning("%s lacks a name or a seed; using %r and %s.", file, info["name"], info["seed"])
    return info
