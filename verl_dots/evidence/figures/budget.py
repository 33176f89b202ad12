"""Rollouts of a question over training, where some get more than others: quantiles, as runs log no histogram."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes

from verl_dots.evidence.figures import panels
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.seeds import Line, over_seeds
from verl_dots.evidence.figures.style import STYLE
from verl_dots.evidence.methods import Look
from verl_dots.reporting import drawing

NAMES = ("min", "p10", "p50", "p90", "max")
METRIC = "budget/rollouts/{}"


def budget_figure(steps: pd.DataFrame, looks: Mapping[str, Look]) -> Drawn:
    """A panel a combination; of a run without quantiles the fewest and the most alone.

    Args:
        steps: rows of `Evidence.steps` that count.
    """
    found = {}
    for combination, rows in steps.groupby("combination", sort=False):
        of_methods = {method: _quantiles(rows[rows["method"] == method]) for method in looks}
        if any(of_methods.values()):
            found[combination] = {method: lines for method, lines in of_methods.items() if lines}
    if not found:
        return Drawn(None, f"no run has recorded {METRIC.format('max')}: none gave questions different budgets")
    every = [lines for of_methods in found.values() for lines in of_methods.values()]
    with rc_context(STYLE):
        figure, axes = panels.grid(len(found))
        for axis, (combination, of_methods) in zip(axes, found.items(), strict=True):
            for place, (method, lines) in enumerate(of_methods.items()):
                _draw(axis, lines, looks[method], place)
            axis.set(xlabel="training step", ylabel="rollouts", ylim=(0, None))
            axis.xaxis.set_major_locator(drawing.locator(integer=True))
            axis.yaxis.set_major_locator(drawing.locator(integer=True))
            panels.name_panel(axis, combination if len(found) > 1 else "")
        panels.label_left(axes)
        panels.legend(figure, looks, [method for of_methods in found.values() for method in of_methods])
        quantiles = "line: median of a step's questions; band: 10 % to 90 % of them"
        text = panels.title(
            figure,
            "Rollouts of a question",
            *([next(iter(found))] if len(found) == 1 else []),
            quantiles if any("p50" in lines for lines in every) else "no quantiles were recorded",
            "dotted: fewest and most",
            "means over seeds",
            panels.seeds_told([line.seeds for lines in every for line in lines.values()]),
        )
    return Drawn(figure, text)


def _quantiles(rows: pd.DataFrame) -> dict[str, Line]:
    lines = {name: over_seeds(rows, METRIC.format(name)) for name in NAMES}
    return {name: line for name, line in lines.items() if line is not None}


def _draw(axis: Axes, lines: Mapping[str, Line], look: Look, place: int) -> None:
    if "p50" in lines:
        middle = lines["p50"]
        panels.draw_line(axis, middle, look, place, band=False)
    if "p10" in lines and "p90" in lines:
        low, high = lines["p10"], lines["p90"]
        axis.fill_between(low.x_E, low.mean_E, high.mean_E, color=look.colour, alpha=0.2, linewidth=0, zorder=2)
    for name in {"min", "max"} & set(lines):
        axis.plot(lines[name].x_E, lines[name].mean_E, color=look.colour, linestyle=":", linewidth=1.2, zorder=2)
