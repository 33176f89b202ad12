"""Read run folders into `Evidence`.

    ROOT/COMBINATION/RUN        runs for accuracy, steps, tokens and rollouts
    ROOT/COMBINATION/time/RUN   timing runs
    ROOT/PAPER/SETTING/RUN      runs of a paper's recipe, recipes/PAPER/SETTING.sh: combination PAPER/SETTING

A RUN is a run folder, or what a tracker of verl has kept of a run (`reporting.trackers`). Its experiment name is the
method. Unfinished, shorter and repeated runs are left out, and named in the notes. So are the accuracy runs of a
combination that cannot be compared with each other, while another has some that can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from verl_dots.evidence import papers
from verl_dots.evidence.combinations import BASE
from verl_dots.evidence.evaluations import alike, read_evaluations
from verl_dots.evidence.methods import in_order
from verl_dots.evidence.records import (
    ACCURACY_RUN,
    RUN_COLUMNS,
    RUN_KEY,
    STEP_COLUMNS,
    TIMING_RUN,
    Evidence,
    EvidenceError,
    fingerprint,
)
from verl_dots.evidence.saved import TABLES, is_saved
from verl_dots.reporting import counted_runs, fairness, runs, summary, trackers
from verl_dots.reporting.rows import TOTALS, RunError
from verl_dots.reporting.run_info import INFO_FILE
from verl_dots.reporting.runs import CONFIG_FILE, METRICS_FILE, NothingRecordedError, Run

TIMED, ACCURACY = "time", "accuracy"  # a folder, and a column
# What tables and figures are made from, behind the metrics that are the accuracy. "*" stands for a name without "/".
# Columns of names without "*" are always there.
METRICS = (
    "training/reward", "training/effective_groups", "training/all_wrong_groups",
    "training/all_right_groups", "training/sampled_entropy", "actor/entropy", "temperature/temperature",
    "temperature/entropy", "selection/rho", "selection/reference/rho", "selection/explored/rho", "selection/trusted",
    "selection/predicted_difficulty", "selection/measured_difficulty", "selection/effective_groups", "mopps/rho",
    "mopps/predicted_difficulty", "mopps/measured_difficulty", "adarft/target", "adarft/reward", "replay/share",
    "replay/age/mean", "replay/age/max", "loss/replayed/effective_sample_size", "filter/share",
    "response_length/mean", "budget/rollouts/*", "filter/*", "stop_early/*", "refill/*", "entropy_coefficient/*",
    "timing_s/*",
)  # fmt: skip
# Decimals of accuracies and seconds, and significant digits of metrics: more than any table or figure shows.
ACCURACY_DECIMALS, SECONDS_DECIMALS, METRIC_DIGITS = 6, 3, 6
_NAME_PARTS = 2  # of the path of a model or data file
_MODEL, _DATA = "actor_rollout_ref.model.path", "data.train_files"


def read_evidence(
    root: str | Path, timed: str = TIMED, metrics: Sequence[str] = METRICS, metric: str | None = None
) -> Evidence:
    """Read all runs below a folder.

    Args:
        timed: name of the folder of timing runs in a combination's folder.
        metrics: columns of `Evidence.steps` behind its fixed ones and those of the accuracy; see `METRICS`.
        metric: the one that is the accuracy; None finds verl's own.

    Raises:
        EvidenceError: no combination or no run is there, two runs are of one combination, method and seed, a metric is
            named like another column, or a run like the untrained model.
        RunError: a file is no run.
    """
    _require_free([*metrics, *([metric] if metric else [])])
    root = Path(root)
    found: dict[tuple, Run] = {}
    notes: list[str] = []
    dropped: list[str] = []
    for name, folder in _combinations(root, timed).items():
        counted, told, refused = _accuracy_runs(folder, timed, metric)
        dropped += [f"{name}: {reason}" for reason in refused]
        alone, told_alone = _timing_runs(folder / timed, metric)
        told += [f"its accuracy runs are left out: {reason}" for reason in refused]
        notes += [f"{name}: {sentence}" for sentence in (*told, *told_alone)]
        for kind, members in ((ACCURACY_RUN, counted), (TIMING_RUN, alone)):
            for run in members:
                if run.seed is None:
                    notes.append(f"{name}: {run.path} is left out: it tells no seed (name it {run.name}-seed1).")
                    continue
                _add(found, (name, run.name, run.seed, kind), run)
    if dropped and not any(kind == ACCURACY_RUN for *_, kind in found):
        text = f"{root} has no runs that can be compared. {' '.join(dropped)}"
        raise EvidenceError(text, key=str(root), reason="data")
    if not found:
        reasons = " ".join(notes)
        raise EvidenceError(f"no finished run is below {root}. {reasons}", key=str(root), reason="data")
    return _evidence(found, metrics, notes)


def _require_free(metrics: Iterable[str]) -> None:
    """Refuse metrics named like a column that tells something else; `accuracy` is what its column says."""
    taken = [*RUN_KEY, *(name for name in STEP_COLUMNS if name != ACCURACY)]
    for name in metrics:
        if name in taken:
            text = f"--metric {name}: evidence has a column {name} of its own, beside {', '.join(taken)}; log it by "
            raise EvidenceError(text + f"another name, such as val/{name}.", key="--metric", reason="excluded")


def _add(found: dict[tuple, Run], key: tuple, run: Run) -> None:
    if key[1] == BASE:
        text = f"{run.path} is named {BASE!r}, which stands for the untrained model; give it another experiment name."
        raise EvidenceError(text, key=str(run.path), reason="excluded")
    if key in found:
        text = f"{found[key].path} and {run.path} are both {'/'.join(map(str, key))}; take one of them away."
        raise EvidenceError(text, key=str(run.path), reason="excluded")
    found[key] = run


def _combinations(root: Path, timed: str) -> dict[str, Path]:
    """Combination -> its folder, of those that hold runs: folders of the root, and of recipes one below it."""
    if not root.is_dir():
        text = f"{root} is not a folder; name one with COMBINATION/RUN in it."
        raise EvidenceError(text, key=str(root), reason="file")
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not _is_run(path)]
    folders += [path for path in sorted(root.glob("*/*")) if path.is_dir() and _name(path) in papers.settings()]
    found = {_name(folder): folder for folder in folders if _runs_in(folder) or _runs_in(folder / timed)}
    if not found:
        hint = " Its runs lie in it directly: name the folder above it." if _runs_in(root) else ""
        text = f"{root} has no folders of runs, COMBINATION/RUN.{hint}"
        raise EvidenceError(text, key=str(root), reason="missing")
    return found


def _name(folder: Path) -> str:
    """The name of the recipe that trains in such a folder, otherwise the folder's own."""
    recipe = "/".join(folder.absolute().parts[-2:])
    return recipe if recipe in papers.settings() else folder.name


def _is_run(path: Path) -> bool:
    return trackers.is_tracked(path) or any((path / name).is_file() for name in (METRICS_FILE, INFO_FILE, CONFIG_FILE))


def _runs_in(folder: Path) -> list[Path]:
    """Runs in a folder, without the tables of evidence that an earlier call may have written there."""
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    tables = is_saved(folder)
    return [path for path in there if _is_run(path) and not (tables and path.name in TABLES)]


def _accuracy_runs(folder: Path, timed: str, metric: str | None) -> tuple[list[Run], list[str], list[str]]:
    """The runs that count, notes, and why none of them does: at most one reason."""
    paths = _runs_in(folder)
    others = [path for path in sorted(folder.iterdir()) if path.is_dir() and path not in paths and path.name != timed]
    notes = [f"{path} is no run; it is not read." for path in others]
    if not paths:
        return [], notes, []
    try:
        chosen = counted_runs.select(paths, metric)
        members = [run for group in chosen.groups.values() for run in group]
        summary.common_metric_keys(members)
    except RunError as error:
        if error.reason == "file":
            raise
        return [], notes, [str(error).removesuffix(counted_runs.HINT)]
    notes += [_left_out(one.path, one.reason) for one in chosen.left_out]
    return members, [*notes, *chosen.notes, *fairness.notes(chosen.groups)], []


def _timing_runs(folder: Path, metric: str | None) -> tuple[list[Run], list[str]]:
    """Whole timing runs; they need no validation."""
    members, notes = [], []
    for path in _runs_in(folder):
        try:
            run = runs.read_run(path)
        except NothingRecordedError as error:
            notes.append(_left_out(path, str(error).rstrip(".")))
            continue
        if run.unfinished:
            notes.append(_left_out(path, run.unfinished))
            continue
        with suppress(NothingRecordedError):  # it has no accuracy, which stays nan
            run = runs.with_metric(run, metric)
        members.append(run)
        notes += run.notes
    return members, notes


def _left_out(path: Path, reason: str) -> str:
    return f"{path} is left out: {reason}."


def _evidence(found: dict[tuple, Run], metrics: Sequence[str], notes: Iterable[str]) -> Evidence:
    methods = in_order(sorted({method for _, method, *_ in found}))
    ordered = sorted(found, key=lambda key: (key[0], methods.index(key[1]), *key[2:]))
    names = _metric_columns(found.values(), metrics)
    steps = {key: _steps(found[key], names) for key in ordered}
    tables = [table.assign(**dict(zip(RUN_KEY, key, strict=True))) for key, table in steps.items()]
    about = [dict(zip(RUN_KEY, key, strict=True)) | _about(found[key], table) for key, table in steps.items()]
    runs_read = pd.DataFrame(about)[[*RUN_KEY, *RUN_COLUMNS]]
    evaluations, told = alike(read_evaluations(runs_read))
    return Evidence(
        steps=pd.concat(tables, ignore_index=True)[[*RUN_KEY, *STEP_COLUMNS, *names]],
        runs=runs_read,
        notes=(*notes, *told),
        evaluations=evaluations,
    )


def _metric_columns(members: Iterable[Run], metrics: Sequence[str]) -> list[str]:
    """The metrics that are an accuracy, then those that `metrics` names, in its order; those of a pattern by name."""
    there = sorted({column for run in members for column in run.rows.columns})
    names = sorted({key for run in members for key in run.metric_keys} - {ACCURACY})
    for wanted in metrics:
        alike = [name for name in there if fnmatchcase(name, wanted) and name.count("/") == wanted.count("/")]
        names += [name for name in (alike if "*" in wanted else [wanted]) if name not in names]
    return names


def _steps(run: Run, names: Sequence[str]) -> pd.DataFrame:
    """The rows of a run, rounded, without its key."""
    rows = run.rows.reindex(columns=["step", *TOTALS, *names])
    rows[list(names)] = rows[list(names)].map(lambda value: float(f"{value:.{METRIC_DIGITS}g}"))
    rows[["wall_seconds", "train_seconds"]] = rows[["wall_seconds", "train_seconds"]].round(SECONDS_DECIMALS)
    keys = list(run.metric_keys)
    accuracy = run.rows[keys].mean(axis=1, skipna=False) if keys else float("nan")
    return rows.assign(step=rows["step"].astype(int), accuracy=accuracy).round({"accuracy": ACCURACY_DECIMALS})


def _about(run: Run, steps: pd.DataFrame) -> dict[str, Any]:
    settings = run.settings or {}
    return {
        "path": run.path.as_posix(),
        "model": _short(settings.get(_MODEL)),
        "data": _short(settings.get(_DATA)),
        "commit": run.commit,
        "machine": run.machine,
        "started": run.started or "",
        "finished": run.finished or "",
        "planned_steps": str(run.planned_steps or ""),
        "fingerprint": fingerprint(steps),
    }


def _short(paths: Any) -> str:
    """The last two parts of each path: what is before is the machine's."""
    given = paths if isinstance(paths, list) else [] if paths is None else [paths]
    return ", ".join("/".join(Path(str(path)).parts[-_NAME_PARTS:]) for path in given)
