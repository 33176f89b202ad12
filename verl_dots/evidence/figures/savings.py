"""What each method saves on the way to the baseline's final accuracy: bars with their intervals."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verl_dots.evidence.figures import panels, style
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.style import STYLE, WIDTH
from verl_dots.evidence.measures import saved_column
from verl_dots.evidence.methods import Look
from verl_dots.reporting import drawing

MEASURES = {"time": "total time", "steps": "steps", "tokens": "generated tokens"}
UNKNOWN = {"time": "not measured"}  # which timing runs do; the others a run records
BAR_HEIGHT = 0.14  # inches, with the space between
LEAST = -100.0  # longer bars to the left are cut there, and say where they end
LABEL = {"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.5}
_ROW_CHARACTERS = 20


def savings_figure(summary: pd.DataFrame, by_seed: pd.DataFrame, looks: Mapping[str, Look]) -> Drawn:
    """A row of panels a combination, a panel a measure; the panels of a measure have one scale.

    A method some of whose seeds never get to the accuracy has a mark and their number, but no bar.

    Args:
        summary, by_seed: see `measures`.
    """
    rows = summary[summary["measure"].isin([saved_column(what) for what in MEASURES])]
    rows = rows[rows["method"].isin(set(looks) - set(by_seed["baseline"]))]
    if rows.empty:
        return Drawn(None, f"the summary has no {saved_column('time')}, and the like, of a method beside the baseline")
    methods_of = {
        combination: [method for method in looks if method in set(of["method"])]
        for combination, of in rows.groupby("combination", sort=False)
    }
    with rc_context(STYLE):
        heights = [BAR_HEIGHT * len(methods) + 0.2 for methods in methods_of.values()]
        figure = Figure(figsize=(WIDTH, sum(heights) + 1.1))
        grid = figure.subplots(len(methods_of), len(MEASURES), sharex=True, squeeze=False, height_ratios=heights)
        for axes, (combination, methods) in zip(grid, methods_of.items(), strict=True):
            of = rows[rows["combination"] == combination]
            by_measure = {what: of[of["measure"] == saved_column(what)].set_index("method") for what in MEASURES}
            reached = by_measure["steps"].reindex(methods)["reached"]
            for axis, (what, one) in zip(axes, by_measure.items(), strict=True):
                _draw_panel(axis, one.reindex(methods), reached, looks, unknown=UNKNOWN.get(what, "not recorded"))
            axes[0].set_yticks(range(len(methods)), [looks[method].label for method in methods])
            if len(methods_of) > 1:
                axes[0].set_ylabel("\n".join(textwrap.wrap(drawing.escaped(combination), _ROW_CHARACTERS)))
        for axis, name in zip(grid[0], MEASURES.values(), strict=True):
            axis.set_title(name)
        for axis in grid[-1]:
            axis.set_xlabel("saved (%)")
            axis.set_xlim(left=max(LEAST, axis.get_xlim()[0]))
        text = panels.title(
            figure,
            f"Saved on the way to the final accuracy of {_baselines(by_seed)}",
            *([next(iter(methods_of))] if len(methods_of) == 1 else []),
            "bars: mean over seeds, with its 95 % interval",
            "x: not all seeds get there, so there is no mean",
        )
    return Drawn(figure, text)


def _baselines(by_seed: pd.DataFrame) -> str:
    return " or ".join(look.label for look in style.looks(by_seed["baseline"]).values())


def _draw_panel(
    axis: Axes, rows: pd.DataFrame, steps_reached: pd.Series, looks: Mapping[str, Look], unknown: str
) -> None:
    """Bars of one combination and measure, in the order of the rows, the first on top."""
    for place, (method, row) in enumerate(rows.iterrows()):
        if math.isnan(row["mean"]):
            _mark(axis, place, row, steps_reached[method], unknown)
            continue
        mean, low, high = 100 * row["mean"], 100 * row["low"], 100 * row["high"]
        axis.barh(place, mean, height=0.72, color=looks[method].colour, alpha=0.55, zorder=2)
        if low < high:
            axis.plot([low, high], [place, place], color="#000000", linewidth=1.2, zorder=3)
        if min(mean, low) < LEAST:
            axis.text(LEAST + 4, place, f"to {min(mean, low):.0f}", va="center", ha="left", zorder=4, bbox=LABEL)
    axis.axvline(0, color="#000000", linewidth=1.2, zorder=3)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_yticks([])
    axis.grid(visible=False, axis="y")


def _mark(axis: Axes, place: int, row: pd.Series, steps_reached: float, unknown: str) -> None:
    """Say why there is no bar."""
    if math.isnan(row["seeds"]) or steps_reached > row["reached"]:
        axis.text(0, place, f"  {unknown}", va="center")
        return
    axis.plot([0], [place], marker="x", color="#000000", markersize=5, zorder=4)
    reached, seeds = int(row["reached"]), int(row["seeds"])
    axis.text(0, place, f"   {f'{reached} of {seeds} seeds' if reached else 'not reached'}", va="center")
