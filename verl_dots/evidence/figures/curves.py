"""Figures of lines over training: a panel a combination of model and data, a line a method, a band over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from verl_dots.evidence.figures import panels
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.seeds import Line, over_seeds, trailing
from verl_dots.evidence.figures.style import STYLE
from verl_dots.evidence.methods import Look
from verl_dots.reporting import drawing, validation_curves

ACCURACY = "accuracy"


@dataclass(frozen=True)
class Curve:
    """What a panel shows.

    Attributes:
        name: in the name of its file.
        columns: metrics; of each method the first that it recorded.
        title: what it is.
        label: of the vertical axis, with the unit.
        x, x_label: column and label of the horizontal axis.
        x_labels: combination -> label, where they differ.
        scale: from the metric to the unit.
        smoothed: share of the steps that a trailing mean takes; 0 for none. Validations are smoothed as in reports.
        limits: of the vertical axis, each as long as no value is outside; None fits it to the values.
        of_all: whether every method has it, so that one without it is named.
    """

    name: str
    columns: tuple[str, ...]
    title: str
    label: str
    x: str = "step"
    x_label: str = "training step"
    x_labels: Mapping[str, str] = field(default_factory=dict)
    scale: float = 1.0
    smoothed: float = 0.0
    limits: tuple[float, float] | None = None
    of_all: bool = False


@dataclass(frozen=True)
class _Panel:
    """`lines`: by method. `window`: how many values their trailing means take."""

    combination: str
    curve: Curve
    lines: Mapping[str, Line]
    window: int

    @property
    def smoothing(self) -> str:
        """What a reader must know of trailing means; empty where there are none."""
        unit = "validations" if self.curve.columns == (ACCURACY,) else "steps"
        return f"trailing means of {self.window} {unit}" if self.window > 1 else ""


def draw(steps: pd.DataFrame, looks: Mapping[str, Look], stem: str, curves: Sequence[Curve]) -> dict[str, Drawn]:
    """File name -> figure: of one combination all curves in one figure, of several a figure a curve.

    Args:
        steps: rows of `Evidence.steps` that count, with columns of their own where curves name them.
        looks: of all methods.
        stem: of the file's name.
    """
    combinations = list(dict.fromkeys(steps["combination"]))
    if len(combinations) == 1:
        return {stem: _figure(steps, looks, [(combinations[0], curve) for curve in curves])}
    return {
        stem if len(curves) == 1 else f"{stem}_{curve.name}": _figure(
            steps, looks, [(combination, curve) for combination in combinations]
        )
        for curve in curves
    }


def _figure(steps: pd.DataFrame, looks: Mapping[str, Look], places: Sequence[tuple[str, Curve]]) -> Drawn:
    """One figure of panels that differ in the combination or in the curve."""
    found = [panel for panel in (_panel(steps, looks, *place) for place in places) if panel.lines]
    if not found:
        names = list(dict.fromkeys(name for _, curve in places for name in curve.columns))
        return Drawn(None, f"no run has recorded {' or '.join(names)} with what it is drawn against")
    with rc_context(STYLE):
        one_scale = len({(panel.combination, panel.curve.label) for panel in found}) == 1
        figure, axes = panels.grid(len(found), share_y=one_scale)
        titles, details = _titles(found)
        for axis, panel, title in zip(axes, found, titles, strict=True):
            _draw_panel(axis, panel, looks)
            panels.name_panel(axis, title)
        panels.label_left([axis for axis in axes if len({panel.curve.label for panel in found}) == 1])
        panels.legend(figure, looks, [name for panel in found for name in panel.lines])
        lines = [line for panel in found for line in panel.lines.values()]
        whole = found[0].curve.title
        if len({panel.curve.title for panel in found}) > 1:  # of one combination
            whole, *details = details
        band = panels.BAND if any(line.seeds > 1 for line in lines) else ""
        text = panels.title(figure, whole, *details, band, panels.seeds_told([line.seeds for line in lines]))
    return Drawn(figure, " ".join([text, *_lacking(steps, looks, found)]))


def _titles(found: Sequence[_Panel]) -> tuple[list[str], list[str]]:
    """Titles of the panels, by what they differ in; and what holds for all of them."""
    details = [found[0].combination] if len({panel.combination for panel in found}) == 1 else []
    smoothing = list(dict.fromkeys(panel.smoothing for panel in found))
    of_panels = [[panel.combination] if not details else [panel.curve.title] for panel in found]
    if len({panel.curve.title for panel in found}) == 1 and details:
        of_panels = [[] for _ in found]
    if len(smoothing) > 1:
        of_panels = [
            [*of, *[panel.smoothing] * bool(panel.smoothing)] for of, panel in zip(of_panels, found, strict=True)
        ]
    else:
        details += smoothing
    return ["\n".join(of) for of in of_panels], details


def _panel(steps: pd.DataFrame, looks: Mapping[str, Look], combination: str, curve: Curve) -> _Panel:
    recorded = [name for name in curve.columns if name in steps]
    columns = list(dict.fromkeys(["method", "seed", "step", *recorded, *[curve.x] * (curve.x in steps)]))
    rows = steps.loc[steps["combination"] == combination, columns]
    window = trailing(curve.smoothed, rows)
    if curve.columns == (ACCURACY,):
        evaluations = rows.dropna(subset=recorded).groupby(["method", "seed"]).size()
        window = validation_curves.default_window(int(evaluations.min())) if len(evaluations) else 1
    lines = {}
    for method in looks:
        of_method = rows[rows["method"] == method]
        found = (over_seeds(of_method, column, curve.x, window) for column in recorded)
        line = next((line for line in found if line is not None), None)
        if line is not None:
            lines[method] = line
    return _Panel(combination, curve, lines, window)


def _draw_panel(axis: Axes, panel: _Panel, looks: Mapping[str, Look]) -> None:
    curve = panel.curve
    for place, (method, look) in enumerate(looks.items()):
        if method in panel.lines:
            panels.draw_line(axis, panel.lines[method], look, place, curve.scale)
    axis.set(xlabel=curve.x_labels.get(panel.combination, curve.x_label), ylabel=curve.label)
    axis.xaxis.set_major_locator(drawing.locator(integer=curve.x == "step"))
    if curve.x == "generated_tokens":
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.margins(x=0.03)
    axis.set_xlim(left=min(0.0, axis.get_xlim()[0]))
    if curve.limits is not None:
        least = min(curve.scale * np.nanmin(line.low_E) for line in panel.lines.values())
        most = max(curve.scale * np.nanmax(line.high_E) for line in panel.lines.values())
        low, high = curve.limits
        axis.set_ylim(low if least >= low else None, high if most <= high else None)


def _lacking(steps: pd.DataFrame, looks: Mapping[str, Look], found: Sequence[_Panel]) -> list[str]:
    """A sentence on the methods without what every method has."""
    lacking = []
    for panel in found:
        methods = set(steps.loc[steps["combination"] == panel.combination, "method"])
        names = [look.label for name, look in looks.items() if name in methods - set(panel.lines)]
        if panel.curve.of_all and names:
            where = f"{panel.combination}, {panel.curve.x_labels.get(panel.combination, panel.curve.x_label)}"
            lacking.append(f"{', '.join(names)} ({where})")
    return [f"Not recorded: {'; '.join(lacking)}."] if lacking else []
