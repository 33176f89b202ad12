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

END = "uniform's end"  # the default target: the accuracy that uniform sampling ends with


@dataclass(frozen=True)
class Interval:
    """Mean over seeds, bounds of its 95 % interval, and how many of the seeds have a value."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Result:
    """All seeds of one setting: their traces, and its figures."""

    setting: Setting
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
    return Result(setting, traces, {name: interval([row[name] for row in rows]) for name in rows[0]})


def figures(trace: Trace, base: Trace, targets: Sequence[float]) -> dict[str, float]:
    """Figures of one run: nan where there is none, as where a target was not reached."""
    found = {
        "effective": trace.effective.mean(),
        "coverage": trace.coverage[-1],
        "replayed": trace.replayed.mean(),
        "age": np.nanmean(trace.age) if np.isfinite(trace.age).any() else np.nan,
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
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(mean, np.nan, np.nan, 1)
    reach = float(student.ppf(0.975, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))
    return Interval(mean, mean - reach, mean + reach, len(known))


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """A row for each setting: its values, then mean, low and high of each figure; empty for what there is not."""
    keys = list(dict.fromkeys(key for result in results for key in result.setting.values))
    names = list(results[0].figures)
    columns = [f"{name}{end}" for name in names for end in ("", " low", " high")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", *keys, "seeds", *columns])
        for result in results:
            numbers = [n for name in names for n in _three(result.figures[name])]
            given = [result.setting.values.get(key, "") for key in keys]
            shown = ["" if math.isnan(number) else f"{number:.6g}" for number in numbers]
            writer.writerow([result.setting.label, *given, len(result.traces), *shown])


def table(results: Sequence[Result]) -> Table:
    """What the terminal shows; the savings are those of the last target."""
    target = [name for name in results[0].figures if name.startswith("steps to ")][-1].removeprefix("steps to ")
    columns = {
        "effective groups (%)": ("effective", 100, 1),
        "coverage (%)": ("coverage", 100, 1),
        "replayed (%)": ("replayed", 100, 0),
        "age": ("age", 1, 1),
        "final accuracy (%)": ("accuracy", 100, 1),
        "rollouts (k)": ("rollouts", 1e-3, 1),
        f"steps to {target}": (f"steps to {target}", 1, 1),
        "steps saved (%)": (f"steps saved to {target}", 100, 1),
        "rollouts saved (%)": (f"rollouts saved to {target}", 100, 1),
    }
    shown = Table(box=None, pad_edge=False)
    shown.add_column("setting")
    for name in columns:
        shown.add_column(name, justify="right")
    for result in results:
        cells = [_cell(result.figures[key], scale, digits) for key, scale, digits in columns.values()]
        shown.add_row(result.setting.label, *cells)
    return shown


def _three(found: Interval) -> tuple[float, float, float]:
    return found.mean, found.low, found.high


def _cell(found: Interval, scale: float, digits: int) -> str:
    if math.isnan(found.mean):
        return "–"
    text = f"{found.mean * scale:.{digits}f}"
    return text if math.isnan(found.low) else f"{text} ± {(found.high - found.mean) * scale:.{digits}f}"
