"""What each method saves on the way to the baseline's final accuracy: bars with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verl_dots.evidence.curves import SMOOTHING_TOLD
from verl_dots.evidence.figures import panels, style
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.style import STYLE, WIDTH
from verl_dots.evidence.measures import OVERALL, saved_column
from verl_dots.evidence.methods import Look
from verl_dots.evidence.records import TIMING_RUN
from verl_dots.evidence.summary_cells import unknown
from verl_dots.reporting import drawing

MEASURES = {"time": "total time", "steps": "steps", "tokens": "generated tokens"}
COLUMNS = {what: saved_column(what, hold="first") for what in MEASURES}  # as in the tables
UNKNOWN = {"time": "not measured"}  # which timing runs do; the others a run records
BAR_HEIGHT = 0.14  # inches, with the space between
LEAST = -100.0  # longer bars to the left are cut there, and say where they end
MOST_HEIGHT = 6.5  # of a figure's rows, in inches: with what stands around them they fit on a page
ROW_ROOM = 0.45  # of a row beside its bars: its title, and the space below
VISIBLE = 0.5  # a shorter bar, in per cent, is a dot
LABEL = {"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.5}


def savings_figures(
    summary: pd.DataFrame, by_seed: pd.DataFrame, looks: Mapping[str, Look], smoothing: str
) -> dict[str, Drawn]:
    """File name -> figure: a row of panels a combination, a panel a measure, all panels with one scale.

    More rows than fit on a page are several figures. A method some of whose runs never get to the accuracy has a mark
    and the number of those that do, but no bar; one of which that is not known has the reason.

    Args:
        summary, by_seed: see `measures`.
        smoothing: of validations, see `measuring.Measured`.
    """
    rows = summary[summary["measure"].isin(COLUMNS.values())]
    rows = rows[rows["method"].isin(set(looks) - set(by_seed["baseline"]))]
    if rows.empty:
        reason = f"the summary has no {COLUMNS['time']}, and the like, of a method beside the baseline"
        return {"savings": Drawn(None, reason)}
    rows = rows.assign(why="")
    for (combination, method), own in summary.groupby(["combination", "method"]):
        if (why := unknown(own, 100, "first")) is not None:
            rows.loc[(rows["combination"] == combination) & (rows["method"] == method), "why"] = why.why.value
    methods_of = {
        combination: [method for method in looks if method in set(of["method"])]
        for combination, of in rows.groupby("combination", sort=False)
    }
    ends = 100 * rows[["mean", "low"]].min().min(), 100 * rows[["mean", "high"]].max().max()
    scale = max(LEAST, min(-5.0, 1.08 * ends[0])), max(105.0, 1.08 * ends[1])
    parts, timed = _parts(methods_of), bool((by_seed["step_source"] == TIMING_RUN).any())
    baselines, drawn = " or ".join(look.label for look in style.looks(by_seed["baseline"]).values()), {}
    for number, names in enumerate(parts, start=1):
        more = [names[0]] if len(methods_of) == 1 else []
        more += [_intervals(names, timed), SMOOTHING_TOLD[smoothing]]
        more += [f"part {number} of {len(parts)}, by combinations"] if len(parts) > 1 else []
        of = {name: methods_of[name] for name in names}
        drawn["savings" if number == 1 else f"savings_{number}"] = _figure(rows, of, looks, scale, baselines, more)
    return drawn


def _parts(methods_of: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The combinations of each figure, as even as they get."""
    names = list(methods_of)
    heights = np.cumsum([BAR_HEIGHT * len(methods_of[name]) + ROW_ROOM for name in names])
    count = min(len(names), math.ceil(heights[-1] / MOST_HEIGHT))
    return [part.tolist() for part in np.array_split(np.array(names, dtype=object), count)]


def _figure(
    rows: pd.DataFrame,
    methods_of: Mapping[str, Sequence[str]],
    looks: Mapping[str, Look],
    scale: tuple[float, float],
    baselines: str,
    more: Sequence[str],
) -> Drawn:
    """The figure of some combinations. `more`: what else stands above it."""
    with rc_context(STYLE):
        heights = [BAR_HEIGHT * len(methods) + ROW_ROOM for methods in methods_of.values()]
        figure = Figure(figsize=(WIDTH, sum(heights) + 1.0))
        grid = figure.subplots(len(methods_of), len(MEASURES), sharex=True, squeeze=False, height_ratios=heights)
        for row, (combination, methods) in enumerate(methods_of.items()):
            axes, of = grid[row], rows[rows["combination"] == combination]
            by_measure = {what: of[of["measure"] == name].set_index("method") for what, name in COLUMNS.items()}
            steps = by_measure["steps"].reindex(methods)
            for axis, (what, one) in zip(axes, by_measure.items(), strict=True):
                _draw_panel(axis, one.reindex(methods), steps, looks, not_known=UNKNOWN.get(what, "not recorded"))
            axes[0].set_yticks(range(len(methods)), [looks[method].label for method in methods])
            if more[:1] != [combination]:
                _name_row(axes[0], combination, above_titles=row == 0)
        for row, axes in enumerate(grid):
            for axis, name in zip(axes, MEASURES.values(), strict=True):
                axis.set_title(" " if row else name if more[:1] == list(methods_of) else f"\n{name}")
        for axis, name in zip(grid[-1], MEASURES.values(), strict=True):
            axis.set_xlabel(f"{name} saved (%)")
        grid[0][0].set_xlim(*scale)
        text = panels.title(
            figure,
            f"Saved until the final accuracy of {baselines} is there for the first time",
            "bars: mean over seeds; black lines: its 95 % interval, where one is known",
            f"dots: less than {VISIBLE:g} % saved or lost",
            "x: not reached by all runs, and there is no mean; so many of them get there",
            *more,
        )
    return Drawn(figure, text)


def _intervals(names: Sequence[str], timed: bool) -> str:
    """What the intervals of these combinations are: not all are of one kind."""
    kinds = []
    if set(names) - {OVERALL}:
        kinds.append("of a combination a bootstrap over seeds, which of three is their range")
    if OVERALL in names:
        kinds.append("of the mean Student's t")
    if timed:
        kinds.append("of total time with the noise of the pairs of timing runs, too")
    return f"intervals: {', '.join(kinds)}"


def _name_row(axis: Axes, text: str, above_titles: bool) -> None:
    """Write the name of a combination above its first panel, in the room that the titles of its panels leave."""
    line = axis.title.get_fontsize() * 1.25
    named = axis.annotate(
        drawing.escaped(text), (0, 1), (0, 4 + line * above_titles), xycoords="axes fraction",
        textcoords="offset points", ha="left", va="bottom", annotation_clip=False,
    )  # fmt: skip
    named.set_in_layout(False)


def _draw_panel(axis: Axes, rows: pd.DataFrame, steps: pd.DataFrame, looks: Mapping[str, Look], not_known: str) -> None:
    """Bars of one combination and measure, in the order of the rows, the first on top; `steps`: rows of the steps."""
    for place, (method, row) in enumerate(rows.iterrows()):
        if math.isnan(row["mean"]):
            _mark(axis, place, steps.loc[method], not_known)
            continue
        mean, low, high = 100 * row["mean"], 100 * row["low"], 100 * row["high"]
        axis.barh(place, mean, height=0.72, color=looks[method].colour, alpha=0.55, zorder=2)
        if abs(mean) < VISIBLE:
            axis.plot([mean], [place], marker="o", markersize=4, color=looks[method].colour, linestyle="", zorder=5)
        if low < high:
            axis.plot([low, high], [place, place], color="#000000", linewidth=1.2, zorder=3)
        if min(mean, low) < LEAST:
            axis.text(LEAST + 4, place, f"to {min(mean, low):.0f}", va="center", ha="left", zorder=4, bbox=LABEL)
    axis.axvline(0, color="#000000", linewidth=1.2, zorder=3)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_yticks([])
    axis.grid(visible=False, axis="y")


def _mark(axis: Axes, place: int, steps: pd.Series, not_known: str) -> None:
    """Say why there is no bar: not all runs came to the accuracy, as their steps tell, or its cost is not known."""
    if not steps["reached"] < steps["seeds"] or steps["why"]:  # also where they tell nothing
        axis.text(0, place, f"  {steps['why'] or not_known}", va="center")
        return
    axis.plot([0], [place], marker="x", color="#000000", markersize=5, linestyle="", zorder=4)
    axis.text(0, place, f"   {int(steps['reached'])} of {int(steps['seeds'])}", va="center")
