"""One method's line in a panel: its validation curve, or a metric of its steps, with the band over seeds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from verl_dots.reporting import drawing, validation_curves
from verl_dots.reporting.comparison import Comparison, MethodSummary

MOST_MARKED_POINTS = 25
MOST_DETAILED_METHODS = 4
# What E3's controller measures where there is no forward pass.
ALTERNATIVES = {"actor/entropy": "temperature/entropy"}


def draw_curve(
    panel: Axes, method: MethodSummary, axis: str, factor: float, scale: float, look: dict[str, Any]
) -> None:
    cost_E = factor * getattr(method.mean, axis)
    every = max(1, math.ceil(len(cost_E) / MOST_MARKED_POINTS))
    panel.plot(
        cost_E, scale * method.mean.accuracy_E, label=drawing.name(method), markersize=6, markevery=every, **look
    )


def draw_seed_band(
    panel: Axes, method: MethodSummary, axis: str, factor: float, scale: float, look: dict[str, Any]
) -> None:
    seeds = np.stack([curve.accuracy_E for curve in validation_curves.align(method.curves)])
    deviation_E = scale * seeds.std(axis=0, ddof=1)
    drawing.band(panel, factor * getattr(method.mean, axis), scale * method.mean.accuracy_E, deviation_E, look["color"])


def has_band(method: MethodSummary, comparison: Comparison) -> bool:
    return len(method.runs) > 1 and len(comparison.methods) <= MOST_DETAILED_METHODS


def draw_metric(panel: Axes, method: MethodSummary, key: str, look: dict[str, Any], detailed: bool) -> None:
    """Draw one metric of one method, or its alternative, or nothing if its runs have neither."""
    if not any(key in run.rows for run in method.runs):
        key = ALTERNATIVES.get(key, key)
    series = [run.rows.set_index("step")[key].dropna() for run in method.runs if key in run.rows]
    table = pd.concat(series, axis=1).dropna() if series else pd.DataFrame()
    if table.empty:
        return
    mean = table.mean(axis=1)
    window = max(1, round(len(mean) / 20))
    smoothed = mean.rolling(window, min_periods=1).mean()
    marker = look["marker"] if len(mean) == 1 else None
    line = {"color": look["color"], "linestyle": look["linestyle"], "marker": marker}
    panel.plot(mean.index, smoothed, label=drawing.name(method), **line)
    if detailed and window > 1:
        panel.plot(mean.index, mean, color=look["color"], alpha=0.25, linewidth=1.0)
    if detailed and table.shape[1] > 1:
        deviation = table.std(axis=1).rolling(window, min_periods=1).mean()
        drawing.band(panel, mean.index, smoothed, deviation, look["color"])
