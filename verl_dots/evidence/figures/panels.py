"""Panels of a figure: a grid of them, a line with its band, what stands above and below."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from verl_dots.evidence.figures.seeds import Line
from verl_dots.evidence.figures.style import COLUMNS, LEGEND_CHARACTERS, PANEL_HEIGHT, WIDTH
from verl_dots.evidence.methods import Look
from verl_dots.reporting import drawing

MARKERS_OF_A_LINE = 6
BAND = "bands: least to greatest of the seeds"
_TITLE_CHARACTERS = 105
_PANEL_CHARACTERS = 84  # in a line of panels' titles


@dataclass(frozen=True)
class Drawn:
    """A figure and its caption, or None and why it is not drawn."""

    figure: Figure | None
    text: str


def grid(count: int, height: float = PANEL_HEIGHT, *, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a page, and so many panels in rows of up to three."""
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(WIDTH, (1.25 * height if count == 1 else height) * rows + 0.75))
    panels = figure.subplots(rows, columns, squeeze=False, sharey=share_y).ravel()
    for panel in panels[count:]:
        panel.remove()
    return figure, list(panels[:count])


def draw_line(panel: Axes, line: Line, look: Look, place: int, scale: float = 1.0, band: bool = True) -> None:
    """The mean as a line, and with `band` the range over seeds where there are several.

    Args:
        place: of the method among all; markers of methods with the same values stand beside each other by it.
    """
    panel.plot(
        line.x_E, scale * line.mean_E, color=look.colour, linestyle=look.dash, marker=look.marker,
        markevery=_marked(line.mean_E, place), label=look.label, zorder=3,
    )  # fmt: skip
    if band and line.seeds > 1:
        panel.fill_between(
            line.x_E, scale * line.low_E, scale * line.high_E, color=look.colour, alpha=0.12, linewidth=0, zorder=2
        )


def _marked(values_E: np.ndarray, place: int) -> list[int]:
    """Places of a line's markers: some at even distances, the last, and each point that no line leads to."""
    known_E = np.isfinite(values_E)
    beside_E = np.concatenate([[False], known_E[:-1]]) | np.concatenate([known_E[1:], [False]])
    every = max(1, math.ceil(len(values_E) / MARKERS_OF_A_LINE))
    at_E = (np.arange(len(values_E)) + place) % every == 0
    last_E = np.arange(len(values_E)) == len(values_E) - 1
    return np.flatnonzero(known_E & (at_E | last_E | ~beside_E)).tolist()


def legend(figure: Figure, looks: Mapping[str, Look], drawn: Sequence[str], lines: bool = True) -> None:
    """One legend below the panels, of the methods that are drawn in the order of `looks`; without `lines` of points."""
    entries = {
        look.label: Line2D([], [], color=look.colour, linestyle=look.dash, marker=look.marker)
        if lines
        else Line2D([], [], linestyle="", marker=look.marker, markerfacecolor="none", markeredgecolor=look.colour)
        for name, look in looks.items()
        if name in drawn
    }
    drawing.legend_below(figure, entries, LEGEND_CHARACTERS)


def name_panel(panel: Axes, text: str) -> None:
    """A panel's title, in lines as wide as the panel."""
    columns = panel.get_gridspec().ncols
    lines = [part for line in text.split("\n") for part in textwrap.wrap(line, _PANEL_CHARACTERS // columns)]
    panel.set_title("\n".join(map(drawing.escaped, lines)))


def label_left(panels: Sequence[Axes]) -> None:
    """Have the panels in the first column alone name the vertical axis, which is the same in all."""
    for panel in panels:
        if not panel.get_subplotspec().is_first_col():
            panel.set_ylabel("")


def title(figure: Figure, what: str, *details: str) -> str:
    """Put above a figure what it shows, and beneath that how; the same as sentences."""
    how = "; ".join(detail for detail in details if detail)
    lines = [line for text in (what, how) for line in textwrap.wrap(text, _TITLE_CHARACTERS)]
    figure.suptitle("\n".join(map(drawing.escaped, lines)))
    return ". ".join(text[0].upper() + text[1:] for text in (what, how) if text) + "."


def seeds_told(counts: Sequence[int]) -> str:
    """How many seeds stand behind the lines."""
    least, most = min(counts), max(counts)
    each = f"{most} seed{'s' * (most > 1)}"
    return f"{each} a line" if least == most else f"{least} to {each} a line"
