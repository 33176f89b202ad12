"""Means of what runs log, over steps and over seeds. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

EFFECTIVE_GROUPS = "training/effective_groups"
ALL_WRONG_GROUPS = "training/all_wrong_groups"
ALL_RIGHT_GROUPS = "training/all_right_groups"
_TIMING_PREFIX = "timing_s/"


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation (n - 1) over `count` seeds; std is NaN for one seed."""

    mean: float
    std: float
    count: int


def seconds_per_step(rows: pd.DataFrame) -> float:
    """Return the mean training seconds of a step, the first step (warm-up) left out; NaN if unknown."""
    steps = rows[rows["step"] >= 1].dropna(subset=["train_seconds"])
    if len(steps) < 2:
        return math.nan
    first, last = steps.iloc[0], steps.iloc[-1]
    return float((last["train_seconds"] - first["train_seconds"]) / (last["step"] - first["step"]))


def mean_of(rows: pd.DataFrame, key: str, last: float = 1.0) -> float:
    """Mean of a metric over the steps that have it, the last share of them only; nan if none has."""
    values = rows[key].dropna() if key in rows else pd.Series(dtype=float)
    return float(values.iloc[-max(1, round(last * len(values))) :].mean()) if len(values) else math.nan


def seconds_by_phase(rows: pd.DataFrame) -> dict[str, float]:
    """Return {phase: mean seconds a step} of verl's `timing_s/<phase>`, the first step left out.

    A phase that ran in some steps only (validation, checkpoints) counts as 0 in the others, so
    the phases add up. verl's finer keys (`timing_s/<phase>/<detail>`) are left out. With a single
    step there is nothing left: an empty dict.
    """
    steps = rows[rows["step"] >= 2]
    names = [name for name in rows.columns if name.startswith(_TIMING_PREFIX) and name.count("/") == 1]
    means = {name.removeprefix(_TIMING_PREFIX): steps[name].fillna(0.0).mean() for name in names}
    return {phase: float(mean) for phase, mean in means.items()} if len(steps) else {}


def mean_std(values: Sequence[float]) -> MeanStd:
    """Return mean and sample standard deviation of one value a seed."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return MeanStd(mean=float(np.mean(values)), std=std, count=len(values))
