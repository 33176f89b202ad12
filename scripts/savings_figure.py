"""The figure of `scripts.savings_results`: accuracies beside GRPO's, after as many steps and after as many tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verl_dots.evidence.figures import style
from verl_dots.evidence.measures import OVERALL
from verl_dots.evidence.methods import BASELINE

PANELS = {"difference": "at equal steps", "difference_at_tokens": "at equal generated tokens"}
MARK = {"color": "#0072B2", "zorder": 3}


def figure_of(summary: pd.DataFrame, combination: str, methods: Sequence[str]) -> Figure:
    """A panel a measure, a line a method: its mean over all runs, with a 95 % interval.

    Args:
        summary: of `verl_dots.evidence.measures`.
        combination: whose figures are drawn.
        methods: from the top.
    """
    methods = [name for name in methods if name != BASELINE]
    with rc_context(style.STYLE):
        figure = Figure(figsize=(style.WIDTH, 0.17 * len(methods) + 1), layout="constrained")
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for axis, (measure, heading) in zip(axes, PANELS.items(), strict=True):
            of = summary[(summary.combination == combination) & (summary.measure == measure)].set_index("method")
            for place, name in enumerate(methods):
                _draw(axis, place, of.loc[name])
            axis.axvline(0, color="#000000", linewidth=0.8)
            axis.set_title(heading)
            axis.set_xlabel("final accuracy above GRPO's (points)")
            axis.set_ylim(len(methods) - 0.5, -0.5)
            axis.grid(visible=False, axis="y")
        axes[0].set_yticks(range(len(methods)), methods)
        kind = "Student's t" if combination == OVERALL else "a bootstrap over seeds, of three their range"
        figure.suptitle(f"One change each: means of all runs, with 95 % intervals: {kind}")
    return figure


def draw(summary: pd.DataFrame, combination: str, methods: Sequence[str], file: Path) -> None:
    """Write `figure_of` as an SVG."""
    style.save_svg(figure_of(summary, combination, methods), file.with_suffix(""))


def _draw(axis: Axes, place: int, row: pd.Series) -> None:
    mean, low, high = (100 * row[name] for name in ("mean", "low", "high"))
    if not math.isnan(low):
        axis.plot([low, high], [place, place], linewidth=1.3, **MARK)
    axis.plot([mean], [place], "o", markersize=4, **MARK)
