"""A metric of one method over training: its mean and its range over seeds. Pure functions.

Axis suffix: `_E` the steps at which every seed recorded it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Steps of a metric further apart than this many times their usual distance have missing data between them.
GAP = 1.5


@dataclass(frozen=True)
class Line:
    """Mean, least and greatest over seeds. Arrays of shape (E,); a NaN in all of them breaks the line.

    Attributes:
        x_E: steps, or a cost at them, which is the mean over the seeds.
        seeds: how many recorded the metric.
    """

    x_E: np.ndarray
    mean_E: np.ndarray
    low_E: np.ndarray
    high_E: np.ndarray
    seeds: int


def over_seeds(
    rows: pd.DataFrame, column: str, x: str = "step", window: int = 1, now_and_then: bool = False
) -> Line | None:
    """The line of a metric against steps or a cost; None where no seed recorded it, or they share no step.

    Seeds are compared at the steps that all of them have, the seeds without the metric left out. The line is broken
    where data are missing: where two steps are more than 1.5 times their median distance apart. Neither the line nor a
    trailing mean goes across a break.

    Args:
        rows: of one method and combination; one row a seed and step.
        x: column of the horizontal axis.
        window: how many values of a seed a trailing mean takes; 1 leaves them as they are.
        now_and_then: whether a step may have no value because there was nothing to measure. A trailing mean then takes
            the values that are there of as many steps, and the line is broken where a seed has none of them.
    """
    if column not in rows or x not in rows:
        return None
    values = rows.pivot(index="step", columns="seed", values=column).dropna(axis=1, how="all").sort_index()
    if now_and_then:
        values, window = values.rolling(window, min_periods=1).mean(), 1
    values = values.dropna()
    if values.empty:
        return None
    if x == "step":
        x_E = values.index.to_numpy(float)
    else:
        costs = rows.pivot(index="step", columns="seed", values=x).loc[values.index, values.columns]
        x_E = costs.mean(axis=1, skipna=False).to_numpy(float)
        if np.isnan(x_E).all():
            return None
    part_E = _parts(values.index.to_numpy(float))
    smoothed = values.groupby(part_E).rolling(window, min_periods=1).mean()
    columns = (x_E, smoothed.mean(axis=1), smoothed.min(axis=1), smoothed.max(axis=1))
    return Line(*(_broken(np.asarray(column, dtype=float), part_E) for column in columns), seeds=values.shape[1])


def trailing(share: float, rows: pd.DataFrame) -> int:
    """How many steps a trailing mean over a share of the longest run's takes; at least 1."""
    return max(1, round(share * float(rows["step"].max())))


def _parts(step_E: np.ndarray) -> np.ndarray:
    """The number of the part that each step is in; a new one begins behind missing data."""
    distance = np.diff(step_E)
    gap = distance > GAP * np.median(distance) if len(distance) else distance.astype(bool)
    return np.concatenate([[0], np.cumsum(gap)]).astype(int)


def _broken(values_E: np.ndarray, part_E: np.ndarray) -> np.ndarray:
    """The values with a NaN between two parts."""
    return np.insert(values_E, np.flatnonzero(np.diff(part_E)) + 1, np.nan)
