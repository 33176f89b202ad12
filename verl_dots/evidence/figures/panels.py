"""Panels of a figure: a grid of them, a line with its band, what stands above and below."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from verl_dots.evidence.figures.marks import marks
from verl_dots.evidence.figures.seeds import Line
from verl_dots.evidence.figures.style import COLUMNS, LEGEND_CHARACTERS, PANEL_HEIGHT, WIDTH
from verl_dots.evidence.methods import Look
from verl_dots.reporting import drawing

BAND = "bands: least to greatest of the seeds"
BARS = "bars at markers, side by side at one step: least to greatest of the seeds"
MOST_BANDS = 4  # of a panel; of more lines the range stands at the markers alone
_TITLE_CHARACTERS = 105
_PANEL_CHARACTERS = 90  # in a line of panels' titles
_LINE_HEIGHT = 0.13  # inches, of a panel's title beyond its first line


@dataclass(frozen=True)
class Drawn:
    """A figure and its caption, or None and why it is not drawn."""

    figure: Figure | None
    text: str


def grid(
    count: int, height: float = PANEL_HEIGHT, *, share_x: bool = False, share_y: bool = False, title: Sequence[str] = ()
) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a page, and so many panels in rows of up to three.

    Args:
        share_x, share_y: one scale for all panels.
        title: of the panels, for which there is room.
    """
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    lines = max((len(title_lines(text, columns)) for text in title), default=1)
    height = (1.25 * height if count == 1 else height) + _LINE_HEIGHT * (lines - 1)
    figure = Figure(figsize=(WIDTH, height * rows + 0.75))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=share_y).ravel()
    for panel in panels[:count]:
        panel.tick_params(labelbottom=True)  # the one below may not be there
    for panel in panels[count:]:
        panel.remove()
    return figure, list(panels[:count])


def draw_lines(
    panel: Axes, lines: Mapping[str, Line], looks: Mapping[str, Look], scale: float = 1.0, spread: str = ""
) -> None:
    """Means as lines with markers, and the range over the seeds where there are several and `spread` says how.

    Args:
        lines: by method, in the order in which methods are shown.
        spread: `BAND`, `BARS`, or "" for none.
    """
    for name, (marked, x_M) in marks(lines).items() if lines else ():
        line, look = lines[name], looks[name]
        mean_E, low_E, high_E = scale * line.mean_E, scale * line.low_E, scale * line.high_E
        panel.plot(line.x_E, mean_E, color=look.colour, linestyle=look.dash, label=look.label, zorder=3)
        panel.plot(x_M, mean_E[marked], color=look.colour, linestyle="", marker=look.marker, zorder=3.5)
        if spread == BAND and line.seeds > 1:
            panel.fill_between(line.x_E, low_E, high_E, color=look.colour, alpha=0.12, linewidth=0, zorder=2)
        elif spread == BARS and line.seeds > 1:
            panel.vlines(x_M, low_E[marked], high_E[marked], color=look.colour, linewidth=0.8, zorder=2)


def spread_of(panels: Sequence[Sequence[Line]]) -> str:
    """How the ranges of a figure's lines are drawn, and what it says of them; empty where no line has several seeds."""
    if not any(line.seeds > 1 for lines in panels for line in lines):
        return ""
    return BAND if max(map(len, panels)) <= MOST_BANDS else BARS


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
    panel.set_title("\n".join(map(drawing.escaped, title_lines(text, panel.get_gridspec().ncols))))


def title_lines(text: str, columns: int) -> list[str]:
    """The lines of a panel's title where there are so many panels in a row."""
    return [part for line in text.split("\n") for part in textwrap.wrap(line, _PANEL_CHARACTERS // columns)]


def label_left(panels: Sequence[Axes]) -> None:
    """Have the panels in the first column alone name the vertical axis, which is the same in all."""
    for panel in panels:
        if not panel.get_subplotspec().is_first_col():
            panel.set_ylabel("")


def title(figure: Figure, what: str, *details: str) -> str:
    """Put above a figure what it shows, and beneath that how; the same as a sentence."""
    how = "; ".join(detail for detail in details if detail)
    lines = [line for text in (what, how) for line in textwrap.wrap(text, _TITLE_CHARACTERS)]
    figure.suptitle("\n".join(map(drawing.escaped, lines)))
    return ": ".join(text for text in (what, how) if text) + "."


def seeds_told(counts: Sequence[int]) -> str:
    """How many seeds stand behind the lines."""
    least, most = min(counts), max(counts)
    each = f"{most} seed{'s' * (most > 1)}"
    return f"{each} a line" if least == most else f"{least} to {each} a line"
