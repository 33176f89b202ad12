"""Predicted against measured difficulty: a point a round of one seed, each the mean over the round's questions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes

from verl_dots.evidence.figures import panels
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.style import STYLE
from verl_dots.evidence.methods import Look

# Predicted, measured, and the metric that begins a round; None where every step is one.
MEANS = (
    ("selection/predicted_difficulty", "selection/measured_difficulty", "selection/trusted"),
    ("mopps/predicted_difficulty", "mopps/measured_difficulty", None),
)
HEIGHT = 2.2  # of a panel, in inches
ROOM = 0.03  # around the points


def rounds(rows: pd.DataFrame) -> np.ndarray:
    """[N, 2] mean predicted and measured difficulty of each round of the runs of one method; N is 0 where none is.

    A run logs both as means of the round so far: its last step has them of the whole round.
    """
    for predicted, measured, begins in MEANS:
        if predicted not in rows or measured not in rows or not rows[predicted].notna().any():
            continue
        found = rows.sort_values(["seed", "step"])
        if begins in found:
            found = found.assign(round=found[begins].notna().groupby(found["seed"]).cumsum())
            found = found.dropna(subset=[predicted, measured]).groupby(["seed", "round"]).last()
        return found[[predicted, measured]].dropna().to_numpy(float)
    return np.empty((0, 2))


def calibration_figure(steps: pd.DataFrame, looks: Mapping[str, Look]) -> Drawn:
    """A panel a combination; each names how many rounds its points are.

    Args:
        steps: rows of `Evidence.steps` that count.
    """
    found = {}
    for combination, rows in steps.groupby("combination", sort=False):
        points = {method: rounds(rows[rows["method"] == method]) for method in looks}
        if any(map(len, points.values())):
            found[combination] = {method: of for method, of in points.items() if len(of)}
    if not found:
        names = " or ".join(predicted for predicted, *_ in MEANS)
        return Drawn(None, f"no run has recorded {names} with the measured difficulty")
    with rc_context(STYLE):
        titles = list(found) if len(found) > 1 else ()
        figure, axes = panels.grid(len(found), HEIGHT, share_x=True, share_y=True, title=titles)
        counts = [f"rounds: {_counts(points, looks)}" for points in found.values()]
        alike = len(set(counts)) == 1
        for axis, (combination, points), count in zip(axes, found.items(), counts, strict=True):
            _draw_panel(axis, points, looks)
            panels.name_panel(axis, "\n".join([combination] * (len(found) > 1) + [count] * (not alike)))
        every = np.concatenate([of for points in found.values() for of in points.values()])
        least, most = every.min(axis=0) - ROOM, every.max(axis=0) + ROOM  # the dotted line has no part in it
        axes[0].set_xlim(least[0], most[0])  # of all panels, which have one scale
        axes[0].set_ylim(least[1], most[1])
        panels.label_left(axes)
        panels.legend(figure, looks, [method for points in found.values() for method in points], lines=False)
        text = panels.title(
            figure,
            "Predicted and measured difficulty of the questions that were chosen",
            *([next(iter(found))] if len(found) == 1 else []),
            "points: mean over the questions of a round of one seed",
            "dotted: measured as predicted",
            *([counts[0] + " in each panel" * (len(found) > 1)] if alike else []),
        )
    return Drawn(figure, text)


def _counts(points: Mapping[str, np.ndarray], looks: Mapping[str, Look]) -> str:
    return " / ".join(f"{looks[method].label} {len(of)}" for method, of in points.items())


def _draw_panel(axis: Axes, points: Mapping[str, np.ndarray], looks: Mapping[str, Look]) -> None:
    for method, of in points.items():
        look = looks[method]
        axis.plot(
            of[:, 0], of[:, 1], linestyle="", marker=look.marker, markersize=3.2, markerfacecolor="none",
            markeredgecolor=look.colour, markeredgewidth=0.8, label=look.label, zorder=3,
        )  # fmt: skip
    axis.axline((0, 0), slope=1, color="#000000", linestyle=":", linewidth=1.2, zorder=2)
    axis.set(xlabel="predicted difficulty", ylabel="measured difficulty")
