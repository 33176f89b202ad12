"""Figures of lines over training: a panel a combination of model and data, a line a method, a band over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from verl_dots.evidence.figures import panels
from verl_dots.evidence.figures.marks import pages, same_lines
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.seeds import Line, over_seeds, trailing
from verl_dots.evidence.figures.style import STYLE
from verl_dots.evidence.methods import Look
from verl_dots.reporting import drawing


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
        smoothed: share of the steps that a trailing mean takes; 0 for none.
        told: how the columns were smoothed before.
        of_all: whether every method has it, so that one without it is named.
        unknown: what such a method is said to be.
        now_and_then: whether steps may have nothing to measure, see `seeds.over_seeds`.
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
    told: str = ""
    of_all: bool = False
    unknown: str = "not recorded"
    now_and_then: bool = False


@dataclass(frozen=True)
class _Panel:
    """`lines`: by method. `window`: how many values their trailing means take."""

    combination: str
    curve: Curve
    lines: Mapping[str, Line]
    window: int

    @property
    def smoothing(self) -> str:
        """What a reader must know of it; empty where nothing was smoothed."""
        without = ", without those that have none" if self.curve.now_and_then else ""
        return f"trailing means of {self.window} steps{without}" if self.window > 1 else self.curve.told

    @property
    def x_label(self) -> str:
        """The label of the horizontal axis."""
        return self.curve.x_labels.get(self.combination, self.curve.x_label)


def draw(steps: pd.DataFrame, looks: Mapping[str, Look], stem: str, curves: Sequence[Curve]) -> dict[str, Drawn]:
    """File name -> figure: of one combination all curves in one figure, of several a figure a curve.

    Of more methods than a panel can show there are several figures, see `marks.pages`: STEM, STEM_2, ...

    Args:
        steps: rows of `Evidence.steps` that count, with columns of their own where curves name them.
        looks: of all methods.
        stem: of the file's name.
    """
    combinations = list(dict.fromkeys(steps["combination"]))
    if len(combinations) == 1:
        return _figures(steps, looks, stem, [(combinations[0], curve) for curve in curves])
    return {
        name: drawn
        for curve in curves
        for name, drawn in _figures(
            steps, looks, stem if len(curves) == 1 else f"{stem}_{curve.name}",
            [(combination, curve) for combination in combinations],
        ).items()
    }  # fmt: skip


def _figures(
    steps: pd.DataFrame, looks: Mapping[str, Look], stem: str, places: Sequence[tuple[str, Curve]]
) -> dict[str, Drawn]:
    """Panels that differ in the combination or in the curve, as one figure or several that differ in the methods."""
    found = [panel for panel in (_panel(steps, looks, *place) for place in places) if panel.lines]
    if not found:
        names = list(dict.fromkeys(name for _, curve in places for name in curve.columns))
        return {stem: Drawn(None, f"no run has recorded {' or '.join(names)} with what it is drawn against")}
    same = same_lines([{name: panel.lines[name] for name in looks if name in panel.lines} for panel in found])
    shown = {name: named(name, looks, same) for name in looks if name not in same}
    methods = [name for name in shown if any(name in panel.lines for panel in found)]
    of_pages = pages(methods)
    drawn = {}
    for number, page in enumerate(of_pages, start=1):
        told = f"part {number} of {len(of_pages)}, by methods" if len(of_pages) > 1 else ""
        those = [replace(panel, lines={name: panel.lines[name] for name in page if name in panel.lines})
                 for panel in found]  # fmt: skip
        lacking = _lacking(steps, looks, found) if number == 1 else ""
        drawn[stem if number == 1 else f"{stem}_{number}"] = _figure(those, shown, [told, lacking])
    return drawn


def named(name: str, looks: Mapping[str, Look], same: Mapping[str, str]) -> Look:
    """The look of a method, which is named with those that have the same line."""
    others = [looks[other].label for other, of in same.items() if of == name]
    label = " = ".join([looks[name].label, *others])
    return replace(looks[name], label=f"{label} (same line)") if others else looks[name]


def _figure(found: Sequence[_Panel], looks: Mapping[str, Look], more: Sequence[str]) -> Drawn:
    """One figure. `more`: what else stands above it."""
    with rc_context(STYLE):
        titles, details = _titles(found)
        alike = len({panel.curve.label for panel in found}) == 1
        figure, axes = panels.grid(
            len(found),
            share_x=len({(panel.curve.x, panel.x_label) for panel in found}) == 1,
            share_y=alike,
            title=titles,
        )
        spread = panels.spread_of([list(panel.lines.values()) for panel in found])
        for axis, panel, title in zip(axes, found, titles, strict=True):
            _draw_panel(axis, panel, looks, spread)
            panels.name_panel(axis, title)
        for axis in axes:  # after all of them, as they may have one scale
            axis.set_xlim(left=min(0.0, axis.get_xlim()[0]))
        panels.label_left(axes if alike else [])
        panels.legend(figure, looks, [name for panel in found for name in panel.lines])
        lines = [line for panel in found for line in panel.lines.values()]
        whole = list(dict.fromkeys(panel.curve.title for panel in found))
        if len(whole) > 1:  # of one combination, and above each panel
            details, whole = details[1:], [*whole, details[0]]
        told = [*details, spread, panels.seeds_told([line.seeds for line in lines]), *more]
        text = panels.title(figure, whole[-1], *told)
    return Drawn(figure, " ".join([*(f"{name}." for name in whole[:-1]), text]))


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
    lines = {}
    for method in looks:
        of_method = rows[rows["method"] == method]
        found = (over_seeds(of_method, column, curve.x, window, curve.now_and_then) for column in recorded)
        line = next((line for line in found if line is not None), None)
        if line is not None:
            lines[method] = line
    return _Panel(combination, curve, lines, window)


def _draw_panel(axis: Axes, panel: _Panel, looks: Mapping[str, Look], spread: str) -> None:
    curve = panel.curve
    panels.draw_lines(axis, panel.lines, looks, curve.scale, spread)
    axis.set(xlabel=panel.x_label, ylabel=curve.label)
    axis.xaxis.set_major_locator(drawing.locator(integer=curve.x == "step"))
    if curve.x == "generated_tokens":
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.margins(x=0.04, y=0.08)


def _lacking(steps: pd.DataFrame, looks: Mapping[str, Look], found: Sequence[_Panel]) -> str:
    """Which methods lack what every method has; where, if not everywhere."""
    where: dict[tuple[str, str], list[str]] = {}
    for panel in found:
        methods = set(steps.loc[steps["combination"] == panel.combination, "method"])
        names = [look.label for name, look in looks.items() if name in methods - set(panel.lines)]
        if panel.curve.of_all and names:
            alone = len({one.curve.name for one in found}) == 1
            place = panel.combination if alone else panel.x_label.replace("\n", " ")
            where.setdefault((panel.curve.unknown, " / ".join(names)), []).append(place)
    return "; ".join(
        f"{unknown}: {names}" + (f" ({', '.join(at)})" if len(at) < len(found) else "")
        for (unknown, names), at in where.items()
    )
