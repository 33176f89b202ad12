"""Rollouts of a question over training, where some get more than others.

Runs log quantiles over the questions of a step, and no histogram. Of eight questions the 10 % with the fewest are the
one with the fewest: a band between these quantiles is drawn only where it is not the one between both ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes

from verl_dots.evidence.figures import panels
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.seeds import Line, over_seeds
from verl_dots.evidence.figures.style import STYLE
from verl_dots.evidence.methods import Look
from verl_dots.reporting import drawing

NAMES = ("min", "p10", "p50", "p90", "max", "least", "most")
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
        figure, axes = panels.grid(len(found), share_x=True, share_y=True, title=list(found) if len(found) > 1 else ())
        for axis, (combination, of_methods) in zip(axes, found.items(), strict=True):
            _draw_panel(axis, of_methods, looks)
            panels.name_panel(axis, combination if len(found) > 1 else "")
        panels.label_left(axes)
        panels.legend(figure, looks, [method for of_methods in found.values() for method in of_methods])
        text = panels.title(
            figure,
            "Rollouts of a question",
            *([next(iter(found))] if len(found) == 1 else []),
            *_told(every),
            "means over seeds",
            panels.seeds_told([line.seeds for lines in every for line in lines.values()]),
        )
    return Drawn(figure, text)


def _told(every: Sequence[Mapping[str, Line]]) -> list[str]:
    """What is drawn of the questions of a step."""
    middle = any("p50" in lines for lines in every)
    return [
        "line: median of a step's questions" if middle else "no quantiles were recorded",
        "band: from the question with the fewest to that with the most",
        *["darker: 10 % to 90 % of them"] * any(map(_inner, every)),
        *["thin lines: the fewest and the most that are allowed"] * any("most" in lines for lines in every),
    ]


def _inner(lines: Mapping[str, Line]) -> bool:
    """Whether the quantiles lie between the ends anywhere."""
    if not {"p10", "p90"} <= set(lines):
        return False
    return any(
        not np.array_equal(lines[quantile].mean_E, lines[end].mean_E, equal_nan=True)
        for quantile, end in (("p10", "min"), ("p90", "max"))
        if end in lines
    )


def _quantiles(rows: pd.DataFrame) -> dict[str, Line]:
    lines = {name: over_seeds(rows, METRIC.format(name)) for name in NAMES}
    return {name: line for name, line in lines.items() if line is not None}


def _draw_panel(axis: Axes, of_methods: Mapping[str, Mapping[str, Line]], looks: Mapping[str, Look]) -> None:
    middles = {method: lines["p50"] for method, lines in of_methods.items() if "p50" in lines}
    panels.draw_lines(axis, middles, looks)
    for method, lines in of_methods.items():
        colour = looks[method].colour
        for low, high in [("min", "max"), *[("p10", "p90")] * _inner(lines)]:
            if {low, high} <= set(lines):
                axis.fill_between(
                    lines[low].x_E, lines[low].mean_E, lines[high].mean_E, step="mid", color=colour, alpha=0.2,
                    linewidth=0, zorder=2,
                )  # fmt: skip
        for name in {"least", "most"} & set(lines):
            axis.plot(
                lines[name].x_E, lines[name].mean_E, color=colour, drawstyle="steps-mid", linewidth=0.7, zorder=2,
            )  # fmt: skip
    axis.set(xlabel="training step", ylabel="rollouts", ylim=(0, None))
    axis.margins(x=0.04)
    axis.xaxis.set_major_locator(drawing.locator(integer=True))
    axis.yaxis.set_major_locator(drawing.locator(integer=True))
