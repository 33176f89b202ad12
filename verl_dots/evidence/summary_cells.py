"""Cells of figures over seeds: those of `summary`, the table of `measures`, and means of values that it has not."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import pandas as pd

from verl_dots.evidence import over_seeds
from verl_dots.evidence.cells import Cell, Figure, Missing, Why
from verl_dots.evidence.measures import (
    OVERALL,
    bound_of,
    came_column,
    cost_column,
    saved_column,
    target_column,
    target_of,
)
from verl_dots.evidence.records import ACCURACY_RUN

# Shares of the baseline's cost saved until its final accuracy is there for the first time; once, until it stays.
SAVINGS = {
    "steps_saved": saved_column("steps", 100, "first"),
    "seconds_per_step_saved": "saved_per_step",
    "total_saved": saved_column("time", 100, "first"),
    "tokens_saved": saved_column("tokens", 100, "first"),
    "rollouts_saved": saved_column("rollouts", 100, "first"),
    "total_saved_kept": saved_column("time", 100, "kept"),
}
_OF_RUNS = "saved_train_seconds_"
_OF_TIME = ("saved_time_", _OF_RUNS)
STEP_SECONDS, STEPS = "step_seconds", "steps"
NOT_ALONE = "of accuracy runs"  # whose steps were not timed with the machine to themselves


def whole(summary: pd.DataFrame) -> str | None:
    """The combination that stands for all: the mean of them, or the only one. None of several without a mean."""
    names = list(dict.fromkeys(summary.combination))
    return OVERALL if OVERALL in names else names[0] if len(names) == 1 else None


def mean_figure(values: Sequence[float]) -> Figure:
    """The mean of one value a seed, with the interval of `over_seeds`; of a single seed there is none."""
    return Figure.between(over_seeds.mean(values), *over_seeds.interval([values]), seeds=len(values))


def mean_of_last(runs: Sequence[pd.DataFrame], columns: Sequence[str]) -> Cell:
    """The mean over runs of the last value of a column, in %: of the first column that has one in each run.

    Args:
        runs: rows of each run, by step.
    """
    if not runs:
        return Missing(Why.NOT_RUN)
    key = next((name for name in columns if all(name in rows and rows[name].notna().any() for rows in runs)), None)
    if key is None:
        return Missing(Why.NOT_MEASURED)
    return mean_figure([100 * float(rows[key].dropna().iloc[-1]) for rows in runs])


def figure(summary: pd.DataFrame, combination: str, method: str, measure: str, scale: float = 1.0) -> Cell:
    """A measure times `scale`; Missing where a seed has no value.

    Raises:
        KeyError: `summary` has no such measure.
    """
    row = _row(summary, combination, method, measure)
    if row is None:
        return Missing(Why.NOT_RUN)
    if not math.isfinite(row["mean"]):
        return Missing(Why.NOT_RECORDED, _of_seeds(row) if row["reached"] else "")
    return Figure.between(*(float(row[end]) * scale for end in ("mean", "low", "high")), seeds=int(row["seeds"]))


def deviation(summary: pd.DataFrame, combination: str, method: str, measure: str, scale: float = 1.0) -> Cell:
    """The standard deviation of a measure times `scale`; a dash where there is none, as of one seed."""
    row = _row(summary, combination, method, measure)
    if row is None:
        return Missing(Why.NOT_RUN)
    return Figure(float(row["std"]) * scale) if math.isfinite(row["std"]) else Missing(Why.NO_ROW)


def reached(summary: pd.DataFrame, combination: str, method: str, share: int = 100) -> Cell:
    """How many seeds come to a share of the baseline's gain, all of it being its final accuracy: "2 of 3"."""
    mine = summary[(summary.combination == combination) & (summary.method == method)].set_index("measure")
    if mine.empty:
        return Missing(Why.NOT_RUN)
    asked, seeds = (int(mine.loc[target_column(share), of]) for of in ("reached", "seeds"))
    if not asked:
        return Missing(Why.NO_GAIN)
    came = int(mine.loc[came_column(share, "first"), "reached"])
    return f"{came} of {asked}" + (f" ({seeds - asked} without a gain)" if asked < seeds else "")


def unknown(mine: pd.DataFrame, share: int, hold: str) -> Missing | None:
    """Why it is not known whether all runs come to a share of the baseline's gain; None where it is.

    Args:
        mine: rows of `summary` of one combination and method.
        hold: of `measures.HOLDS`.
    """
    of = mine.set_index("measure")
    if (target := target_column(share)) in of.index and of.reached[target] < of.seeds[target]:
        return Missing(Why.NO_GAIN, f"{int(of.seeds[target] - of.reached[target])} of {_all_seeds(of.loc[target])}")
    bound = bound_of(saved_column("steps", share, hold))
    if bound in of.index and of.reached[bound] < of.seeds[bound]:
        lacking = int(of.seeds[bound] - of.reached[bound])
        whose = "it or the baseline first validated above it"
        return Missing(Why.NOT_MEASURED, f"{whose}: {lacking} of {_all_seeds(of.loc[bound])}")
    return None


def saving(summary: pd.DataFrame, combination: str, method: str, measure: str) -> Cell:
    """A saving in %, such as one of `SAVINGS`. One whose interval holds 0 is marked, and another that is 0 or less.

    Where not all runs reach the accuracy it is a bound: each that does not counts with the most that it may save.
    """
    found = figure(summary, combination, method, measure, 100.0)
    if isinstance(found, Missing):
        return _why(summary, combination, method, measure, found)
    if found.low is not None and found.low <= 0 < found.high:
        return replace(found, remark="unclear")
    return replace(found, remark="saves nothing") if found.value <= 0 else found


def of_time(measure: str) -> bool:
    """Whether a saving is of seconds."""
    return measure == "saved_per_step" or measure.startswith(_OF_TIME)


def timed(
    cell: Cell,
    by_seed: pd.DataFrame,
    combination: str,
    method: str,
    apart: Collection[str] = (),
    measure: str = STEP_SECONDS,
) -> Cell:
    """A figure of seconds, marked where its steps were not timed alone; Missing where they were not timed.

    Args:
        apart: combinations that the mean of combinations leaves out.
        measure: what the figure is; `saved_train_seconds_*` are of accuracy runs, whatever a step was timed by.
    """
    there = ~by_seed.combination.isin(apart) if combination == OVERALL else by_seed.combination == combination
    mine = by_seed[there & (by_seed.method == method)]
    if isinstance(cell, Missing):
        return Missing(Why.NOT_MEASURED) if cell.why is Why.NOT_RECORDED else cell
    if measure.startswith(_OF_RUNS) or (mine.step_source == ACCURACY_RUN).any():
        return replace(cell, remark=", ".join(filter(None, (cell.remark, NOT_ALONE))))
    return cell


def at_most(bound: pd.Series | None, remark: str) -> Figure | None:
    """A bound of a saving, in %, of its row of `summary`; None where it has no value."""
    if bound is None or not math.isfinite(bound["mean"]):
        return None
    ends = (100 * float(bound[end]) for end in ("mean", "low", "high"))
    return Figure.between(*ends, seeds=int(bound["seeds"]), remark=remark, at_most=True)


def _why(summary: pd.DataFrame, combination: str, method: str, measure: str, found: Missing) -> Cell:
    """Whether a saving is missing because the accuracy was not reached, or because its cost was not measured."""
    target = target_of(measure)
    if found.why is Why.NOT_RUN or target is None:
        return found
    mine = summary[(summary.combination == combination) & (summary.method == method)]
    if (why := unknown(mine, *target)) is not None:
        return why
    row = _row(summary, combination, method, cost_column("steps", *target))
    if row is not None and row["reached"] < row["seeds"]:
        if of_time(measure) and not _is_timed(summary, combination, method, measure):
            return Missing(Why.NOT_MEASURED)
        bound = at_most(_row(summary, combination, method, bound_of(measure)), _of_seeds(row))
        return bound or Missing(Why.NOT_REACHED, _of_seeds(row))
    return found


def _is_timed(summary: pd.DataFrame, combination: str, method: str, measure: str) -> bool:
    """Whether the seconds of a saving of time are known, of runs that get there and of others alike."""
    told = bound_of(measure) if measure.startswith(_OF_RUNS) else "saved_per_step"
    return isinstance(figure(summary, combination, method, told), Figure)


def _row(summary: pd.DataFrame, combination: str, method: str, measure: str) -> pd.Series | None:
    mine = (summary.combination == combination) & (summary.method == method) & (summary.measure == measure)
    if mine.any():
        return summary[mine].iloc[0]
    if len(summary) and measure not in set(summary.measure):
        raise KeyError(f"the summary has no measure {measure!r}; it has {_some(sorted(set(summary.measure)))}")
    return None


def _of_seeds(row: pd.Series) -> str:
    """How many seeds have a value, or runs of all combinations: "2 of 3 seeds", "11 of 18 runs"."""
    return f"{int(row['reached'])} of {_all_seeds(row)}"


def _all_seeds(row: pd.Series) -> str:
    return f"{int(row['seeds'])} {'runs' if row['combination'] == OVERALL else 'seeds'}"


def _some(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")
