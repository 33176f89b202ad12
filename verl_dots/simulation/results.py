"""What simulated runs came to: figures of each run, relative to uniform sampling, and means over seeds."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table
from scipy.stats import t as student

from verl_dots.simulation.run import Setting, Trace
from verl_dots.simulation.run_logs import RunLog

END = "uniform's end"  # the default target: the accuracy that uniform sampling ends with


@dataclass(frozen=True)
class Interval:
    """Mean and standard deviation over seeds, bounds of the mean's 95 % interval, and how many seeds have a value."""

    mean: float
    deviation: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Result:
    """All seeds of one setting.

    Attributes:
        label, values: of the setting, see `Setting`.
        traces: one a seed; none of runs that were measured.
        figures: by name.
    """

    label: str
    values: Mapping[str, str]
    traces: Sequence[Trace]
    figures: Mapping[str, Interval]


def summarise(
    setting: Setting, traces: Sequence[Trace], baselines: Sequence[Trace], targets: Sequence[float]
) -> Result:
    """The figures of a setting.

    Args:
        traces: one a seed.
        baselines: uniform sampling with the same seeds.
        targets: accuracies; none takes the one that uniform sampling ends with, seed by seed.
    """
    rows = [figures(trace, base, targets) for trace, base in zip(traces, baselines, strict=True)]
    values = {"policy": setting.label, **setting.values}
    return Result(setting.label, values, traces, {name: interval([row[name] for row in rows]) for name in rows[0]})


def measured(logs: Sequence[RunLog], base: Result, targets: Sequence[float]) -> list[Result]:
    """The same figures of real runs, as far as their logs tell, by the name of their method.

    Args:
        base: simulated uniform sampling, whose mean accuracy at the end is the target where none is given.
        targets: accuracies.
    """
    aims = {target_name(t): t for t in targets} or {END: base.figures["accuracy"].mean}
    found = []
    for name in dict.fromkeys(log.name for log in logs):
        rows = [_measured(log, aims) for log in logs if log.name == name]
        known = {key: interval([row[key] for row in rows if key in row]) for key in base.figures}
        found.append(Result(f"measured {name}", {"policy": f"measured {name}"}, (), known))
    return found


def _measured(log: RunLog, aims: Mapping[str, float]) -> dict[str, float]:
    """A target is reached where the straight line between two validations first meets it."""
    found = {"effective": float(np.nanmean(log.effective_S)), "accuracy": list(log.accuracy.values())[-1]}
    points = list(log.accuracy.items())
    for name, aim in aims.items():
        place = next((i for i, (_, accuracy) in enumerate(points) if accuracy >= aim), None)
        if place:
            (before, low), (after, high) = points[place - 1 : place + 1]
            found[f"steps to {name}"] = before + (after - before) * (aim - low) / (high - low)
        elif place == 0:
            found[f"steps to {name}"] = float(points[0][0])
    return found


def figures(trace: Trace, base: Trace, targets: Sequence[float]) -> dict[str, float]:
    """Figures of one run: nan where there is none, as where a target was not reached."""
    found = {
        "effective": trace.effective.mean(),
        "coverage": trace.coverage[-1],
        "replayed": trace.replayed.mean(),
        "age": np.nanmean(trace.age) if np.isfinite(trace.age).any() else np.nan,
        "stopped": trace.stopped.mean(),
        "spared": trace.saved.mean(),
        "false stops": trace.lost.sum() / trace.stopped.sum() if trace.stopped.any() else np.nan,
        "temperature": trace.temperature[-1],
        "accuracy": trace.accuracy[-1],
        "rollouts": trace.rollouts[-1],
    }
    for name, target in {target_name(t): t for t in targets}.items() or [(END, base.accuracy[-1])]:
        steps, rollouts = reached(trace, target)
        base_steps, base_rollouts = reached(base, target)
        found |= {
            f"steps to {name}": steps,
            f"rollouts to {name}": rollouts,
            f"steps saved to {name}": 1 - steps / base_steps,
            f"rollouts saved to {name}": 1 - rollouts / base_rollouts,
        }
    return {name: float(value) for name, value in found.items()}


def target_name(target: float) -> str:
    return f"{100 * target:g} %"


def reached(trace: Trace, target: float) -> tuple[float, float]:
    """(steps, rollouts) at the first step with an accuracy of the target; nan for never."""
    there = np.flatnonzero(trace.accuracy >= target - 1e-9)
    return (float(there[0] + 1), float(trace.rollouts[there[0]])) if len(there) else (np.nan, np.nan)


def interval(values: Sequence[float]) -> Interval:
    """Mean and Student's 95 % interval of the values that are there; of one the bounds are nan."""
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return Interval(np.nan, np.nan, np.nan, np.nan, 0)
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(mean, np.nan, np.nan, np.nan, 1)
    deviation = float(known.std(ddof=1))
    reach = float(student.ppf(0.975, len(known) - 1)) * deviation / math.sqrt(len(known))
    return Interval(mean, deviation, mean - reach, mean + reach, len(known))


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """A row for each setting: its values, then mean, low and high of each figure; empty for what there is not."""
    keys = list(dict.fromkeys(key for result in results for key in result.values))
    names = list(results[0].figures)
    columns = [f"{name}{end}" for name in names for end in ("", " low", " high")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*keys, "seeds", *columns])
        for result in results:
            numbers = [n for name in names for n in _three(result.figures[name])]
            given = [result.values.get(key, "") for key in keys]
            shown = ["" if math.isnan(number) else f"{number:.6g}" for number in numbers]
            writer.writerow([*given, max(one.count for one in result.figures.values()), *shown])


def is_csv(path: Path) -> bool:
    """Whether a file is what `write_csv` has written, by its header."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return "seeds" in file.readline().rstrip().split(",")


def table(results: Sequence[Result]) -> Table:
    """What the terminal shows: a column for each key of the grid, then figures, steps to every target among them."""
    keys = list(dict.fromkeys(key for result in results for key in result.values))
    targets = [name.removeprefix("steps to ") for name in results[0].figures if name.startswith("steps to ")]
    stops = {
        "stopped %": ("stopped", 100, 1),
        "false stops %": ("false stops", 100, 1),
    }
    any_stops = any(result.figures["stopped"].mean > 0 for result in results)
    columns = {
        "effective %": ("effective", 100, 1),
        "coverage %": ("coverage", 100, 1),
        "replayed %": ("replayed", 100, 0),
        "age": ("age", 1, 1),
        **(stops if any_stops else {}),
        "accuracy %": ("accuracy", 100, 1),
        "rollouts k": ("rollouts", 1e-3, 1),
        **{f"steps to {target}": (f"steps to {target}", 1, 1) for target in targets},
        "steps saved %": (f"steps saved to {targets[-1]}", 100, 1),
        "rollouts saved %": (f"rollouts saved to {targets[-1]}", 100, 1),
    }
    shown = Table(box=None, pad_edge=False)
    for key in keys:
        shown.add_column(key.rpartition(".")[2], no_wrap=True)
    for name in columns:
        shown.add_column(name, justify="right")
    for result in results:
        cells = [_cell(result.figures[key], scale, digits) for key, scale, digits in columns.values()]
        shown.add_row(*(result.values.get(key, "") for key in keys), *cells)
    return shown


def _three(found: Interval) -> tuple[float, float, float]:
    return found.mean, found.low, found.high


def _cell(found: Interval, scale: float, digits: int) -> str:
    if math.isnan(found.mean):
        return "–"
    text = f"{found.mean * scale:.{digits}f}"
    return text if math.isnan(found.low) else f"{text} ± {(found.high - found.mean) * scale:.{digits}f}"
