"""What simulated runs came to: figures of each run, relative to uniform sampling, and means over seeds."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from verl_dots.reporting.validation_curves import crossing
from verl_dots.simulation.intervals import AT_MOST, TO_TARGET, Interval, over_seeds
from verl_dots.simulation.run import Setting, Trace
from verl_dots.simulation.run_logs import RunLog

NOT_ALL = (
    "Not reached: not by all seeds, and so many come there. At most: a seed that never does counts with the most that "
    "it may save, for all that it cost stands for what it would need at least."
)
END = "uniform's end"  # the default target: the accuracy that uniform sampling ends with


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
    return Result(setting.label, values, traces, over_seeds(rows, list(rows[0])))


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
        known = over_seeds(rows, list(base.figures))
        found.append(Result(f"measured {name}", {"policy": f"measured {name}"}, (), known))
    return found


def _measured(log: RunLog, aims: Mapping[str, float]) -> dict[str, float]:
    """A target is reached where the straight line between two validations first meets it."""
    found = {"effective": float(np.nanmean(log.effective_S)), "accuracy": list(log.accuracy.values())[-1]}
    step_E, accuracy_E = np.array(list(log.accuracy)), np.array(list(log.accuracy.values()))
    for name, aim in aims.items():
        place = crossing(accuracy_E, aim)
        if place and (place.after > 0 or step_E[0] == 0):  # a later first validation does not tell when it was reached
            found[f"steps to {name}"] = place.of(step_E)
    return found


def figures(trace: Trace, base: Trace, targets: Sequence[float]) -> dict[str, float]:
    """Figures of one run: nan where there is none, as where a target was not reached.

    Savings are of steps and rollouts to a target. `AT_MOST` of one is the most that it may be: of a run that never
    comes there all that it cost stands for what it would need at least.
    """
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
        least = (len(trace.accuracy), trace.rollouts[-1]) if np.isnan(steps) else (steps, rollouts)
        found |= {
            f"steps to {name}": steps,
            f"rollouts to {name}": rollouts,
            f"steps saved to {name}": 1 - steps / base_steps,
            f"rollouts saved to {name}": 1 - rollouts / base_rollouts,
            f"{AT_MOST}steps saved to {name}": 1 - least[0] / base_steps,
            f"{AT_MOST}rollouts saved to {name}": 1 - least[1] / base_rollouts,
        }
    return {name: float(value) for name, value in found.items()}


def target_name(target: float) -> str:
    return f"{100 * target:g} %"


def reached(trace: Trace, target: float) -> tuple[float, float]:
    """(steps, rollouts) at the first step with an accuracy of the target; nan for never."""
    there = np.flatnonzero(trace.accuracy >= target - 1e-9)
    return (float(there[0] + 1), float(trace.rollouts[there[0]])) if len(there) else (np.nan, np.nan)


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """A row for each setting: its values, then mean, low and high of each figure; empty for what there is not.

    Last, how many seeds come to each target: where it is not all, the way there has no mean.
    """
    keys = list(dict.fromkeys(key for result in results for key in result.values))
    names, targets = list(results[0].figures), _targets(results)
    columns = [f"{name}{end}" for name in names for end in ("", " low", " high")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*keys, "seeds", *columns, *(f"seeds that come to {target}" for target in targets)])
        for result in results:
            numbers = [n for name in names for n in _three(result.figures[name])]
            given = [result.values.get(key, "") for key in keys]
            shown = ["" if math.isnan(number) else f"{number:.6g}" for number in numbers]
            there = [result.figures[f"steps to {target}"].count for target in targets]
            writer.writerow([*given, max(one.count for one in result.figures.values()), *shown, *there])


def is_csv(path: Path) -> bool:
    """Whether a file is what `write_csv` has written, by its header."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return "seeds" in file.readline().rstrip().split(",")


def table(results: Sequence[Result]) -> Table:
    """What the terminal shows: a column for each key of the grid, then figures, steps to every target among them."""
    keys = list(dict.fromkeys(key for result in results for key in result.values))
    targets = _targets(results)
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
        cells = [_cell(result, *column) for column in columns.values()]
        shown.add_row(*(result.values.get(key, "") for key in keys), *cells)
    return shown


def all_come(results: Sequence[Result]) -> bool:
    """Whether all seeds of all settings come to every target."""
    counts = (result.figures[f"steps to {target}"] for target in _targets(results) for result in results)
    return all(one.count == one.seeds for one in counts)


def _targets(results: Sequence[Result]) -> list[str]:
    return [name.removeprefix("steps to ") for name in results[0].figures if name.startswith("steps to ")]


def _three(found: Interval) -> tuple[float, float, float]:
    return found.mean, found.low, found.high


def _cell(result: Result, name: str, scale: float, digits: int) -> str:
    """A figure; of the way to a target to which not all seeds come a bound, or that it was not reached by all."""
    found = result.figures[name]
    if not math.isnan(found.mean):
        return _number(found, scale, digits)
    if not name.startswith(TO_TARGET):
        return "–"
    there = result.figures[f"steps to {name.partition(' to ')[2]}"]
    told = f"({there.count} of {there.seeds})"
    if name.startswith("steps to "):
        return f"not reached {told}"
    bound = result.figures[AT_MOST + name]
    return "–" if math.isnan(bound.mean) else f"{AT_MOST}{_number(bound, scale, digits)} {told}"


def _number(found: Interval, scale: float, digits: int) -> str:
    text = f"{found.mean * scale:.{digits}f}"
    return text if math.isnan(found.low) else f"{text} ± {(found.high - found.mean) * scale:.{digits}f}"
