"""Load run folders.

A run folder holds `metrics.jsonl` (see rows.py; step 0 is the validation before training), `run.json` (name, seed,
versions, times) and `config.yaml` (the resolved configuration). What is missing or damaged is named in `Run.notes`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from verl_dots.reporting import configs, trackers
from verl_dots.reporting.configs import Settings
from verl_dots.reporting.costs import with_costs
from verl_dots.reporting.rows import NO_NUMBER, TOTALS, Rows, RunError, as_table, read_rows
from verl_dots.reporting.run_info import INFO_FILE, read_info

METRICS_FILE = "metrics.jsonl"
CONFIG_FILE = "config.yaml"
_VALIDATION_KEY = re.compile(r"val-core/(?P<source>.+)/(?P<measure>acc|reward)/mean@(?P<samples>[0-9]{1,9})")


class NothingRecordedError(RunError):
    """A run that ended, or stands, before its first row or its first validation."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        path: the run folder.
        name: experiment name, the label of the method; runs that share it are its seeds.
        rows: one row a step, ascending in `step`; one column a metric; absent values are NaN.
            The columns of `rows.TOTALS` always exist.
        metric_keys: the columns whose mean is the run's validation accuracy.
        finished: ISO time, or None while the run is under way or after a crash.
        tells_end: whether run.json says if the run has finished.
        recorded_steps: the step of the last row in the file; `rows` may be cut to fewer.
        planned_steps: how many steps the run is meant to have; None if that is not known.
        settings: what config.yaml says, by dotted keys; None if there is none.
        resumes: how often the run was resumed at an earlier step.
        notes: what a reader of the figures must know of the files.
        commit: of the code, "" where it is not known; a "+" behind it says that files differed from it.
        machine: processor, cores and GPUs in words; "" where that is not known.
    """

    path: Path
    name: str
    seed: int | None
    rows: pd.DataFrame
    metric_keys: tuple[str, ...]
    versions: dict[str, str]
    started: str | None
    finished: str | None
    tells_end: bool
    recorded_steps: int
    planned_steps: int | None
    settings: Settings | None
    resumes: int
    notes: tuple[str, ...]
    commit: str = ""
    machine: str = ""

    @property
    def first_step(self) -> int:
        """The step of the first row."""
        return int(self.rows["step"].iloc[0])

    @property
    def last_step(self) -> int:
        """The step of the last row."""
        return int(self.rows["step"].iloc[-1])

    @property
    def last_validation(self) -> int:
        """The last step at which all of `metric_keys` have a value."""
        return int(self.rows.dropna(subset=list(self.metric_keys))["step"].iloc[-1])

    @property
    def progress(self) -> str:
        """The last step recorded, and of how many: "step 10 of 60"."""
        return f"step {self.recorded_steps}" + (f" of {self.planned_steps}" if self.planned_steps else "")

    @property
    def unfinished(self) -> str | None:
        """Why the run is not a whole one, by its own files; None if it is, or if they do not tell."""
        if self.tells_end and self.finished is None:
            return f"not finished ({self.progress})"
        if self.planned_steps is not None and self.recorded_steps != self.planned_steps:
            return f"{'ended early' if self.recorded_steps < self.planned_steps else 'too long'} ({self.progress})"
        return None


def read_run(path: str | Path) -> Run:
    """Read the run in folder `path`, or what a tracker has kept of one (trackers.py), without choosing its metric.

    Raises:
        RunError: neither of these.
        NothingRecordedError: a run folder without a row.
    """
    path = Path(path)
    if not (path / METRICS_FILE).is_file() and trackers.is_tracked(path):
        return _tracked_run(path)
    file = _metrics_file(path)
    found = read_rows(file)
    _require_rows(found, file)
    rows, table_notes = as_table(found.values, path)
    settings, config_notes = configs.read_settings(path / CONFIG_FILE)
    info, info_notes = read_info(path, settings)
    return Run(
        path=path,
        name=info["name"],
        seed=info["seed"],
        rows=rows,
        metric_keys=(),
        versions=info["versions"],
        started=info["started"],
        finished=info["finished"],
        tells_end=info["tells_end"],
        recorded_steps=int(rows["step"].iloc[-1]),
        planned_steps=configs.planned_steps(settings),
        settings=settings,
        resumes=found.resumes,
        notes=(*info_notes, *config_notes, *found.notes, *table_notes),
        commit=info["commit"],
        machine=info["machine"],
    )


def _tracked_run(path: Path) -> Run:
    """A run of which a tracker of verl's has kept the metrics alone."""
    found = trackers.read_tracked(path)
    _require_rows(found.rows, path)
    rows, table_notes = as_table(with_costs(found.rows.values), path)
    note = f"{path} tells metrics alone: not its settings, nor whether it has finished."
    return Run(
        path=path,
        name=found.name,
        seed=found.seed,
        rows=rows,
        metric_keys=(),
        versions={},
        started=None,
        finished=None,
        tells_end=False,
        recorded_steps=int(rows["step"].iloc[-1]),
        planned_steps=None,
        settings=None,
        resumes=found.rows.resumes,
        notes=(note, *found.rows.notes, *table_notes),
    )


def _require_rows(found: Rows, file: Path) -> None:
    if not found.values:
        if found.notes:
            text = f"{file} has no line that can be read. {found.notes[0]}"
        else:
            text = f"{file} is empty: the run ended before its first validation or step."
        raise NothingRecordedError(text, key=str(file), reason="missing")


def with_metric(run: Run, metric: str | None = None) -> Run:
    """Return `run` with the metric that counts as its accuracy.

    Args:
        metric: the one metric to take; None finds verl's own, see `find_metric_keys`.

    Raises:
        NothingRecordedError: there is none, or no row has all of the keys.
    """
    try:
        run = replace(run, metric_keys=find_metric_keys(run.rows, run.path, metric))
    except NothingRecordedError as error:
        odd = next((f" {note}" for note in run.notes if note.endswith(f"{NO_NUMBER}.")), "")
        raise NothingRecordedError(f"{error}{odd}", key=error.key, reason=error.reason) from None
    known = run.rows[list(run.metric_keys)].notna()
    if not known.all(axis=1).any():
        keys = list(run.metric_keys)
        raise NothingRecordedError(
            f"{run.path}: no row has all of {keys}. Name one of them with --metric.", key="--metric", reason="data"
        )
    partly = run.rows["step"][known.any(axis=1) & ~known.all(axis=1)].tolist()
    if partly:
        note = f"{run.path}: not all of {list(run.metric_keys)} have a value at steps {partly[:5]}; these do not count."
        run = replace(run, notes=(*run.notes, note))
    return run


def group_by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return {method name: its runs}, in the order in which the names first occur."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.name, []).append(run)
    return groups


def find_metric_keys(rows: pd.DataFrame, path: Path, metric: str | None = None) -> tuple[str, ...]:
    """Return the columns that make up the validation accuracy.

    verl writes `val-core/<source>/acc/mean@N`, one a data source, or `val-core/<source>/reward/mean@N` of a source
    whose rewards tell no accuracy. If a source has several N, the largest counts.

    Raises:
        NothingRecordedError: there is none, or `metric` is not a column with values.
    """
    columns = [name for name in rows.columns if rows[name].notna().any() and name not in ("step", *TOTALS)]
    if metric is not None:
        if metric in columns:
            return (metric,)
        near = difflib.get_close_matches(metric, columns, n=3, cutoff=0.4)
        hint = f"Nearest: {near}." if near else f"Known: {sorted(columns)}."
        raise NothingRecordedError(f"{path} has no metric {metric!r}. {hint}", key=metric, reason="unknown")
    matches = [match for match in map(_VALIDATION_KEY.fullmatch, columns) if match]
    best: dict[str, re.Match] = {}
    for match in sorted(matches, key=lambda one: (one["measure"] == "acc", int(one["samples"]))):
        best[match["source"]] = match
    if best:
        return tuple(sorted(match.string for match in best.values()))
    validation = sorted(name for name in columns if name.startswith("val"))
    empty = sorted(name for name in rows.columns if name.startswith("val") and name not in columns)
    raise NothingRecordedError(
        f"{path} has no validation accuracy: no key val-core/<source>/acc/mean@N or .../reward/mean@N. "
        f"Validation keys it has: {validation}; all keys: {sorted(columns)}; without any value: {empty}. Train "
        "with trainer.test_freq > 0 and trainer.val_before_train=True, or name one of these keys with --metric.",
        key=str(path),
        reason="data",
    )


def _metrics_file(path: Path) -> Path:
    file = path / METRICS_FILE
    if file.is_file():
        return file
    if not path.is_dir():
        raise trackers.no_run(path)
    if (path / INFO_FILE).is_file() or (path / CONFIG_FILE).is_file():
        raise NothingRecordedError(
            f"{path} has no {METRICS_FILE}: the run has told nothing yet.", key=str(path), reason="missing"
        )
    inside = sorted(child.parent.name for child in path.glob(f"*/{METRICS_FILE}"))
    hint = f"Its subfolders {inside} have one: name those." if inside else "Is it the folder of a training run?"
    raise RunError(f"{path} has no {METRICS_FILE}. {hint}", key=str(path), reason="file")
