"""How all figures look: style, colours, markers, bands, legends and axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from verl_dots.reporting.summary import MethodSummary

BASELINE_COLOUR = "#1a1a1a"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b5cf6", "#8c6d31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DOTS_PER_INCH = 150
SIZE_INCHES = (15.0, 5.4)
STYLE = {
    "font.size": 13,
    "axes.titlesize": 15,
    "axes.labelsize": 13,
    "legend.fontsize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "lines.linewidth": 2.2,
    "figure.titlesize": "large",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.10,
}


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` as a PNG."""
    figure.savefig(path, dpi=DOTS_PER_INCH)


def look(index: int, name: str, baseline: str) -> dict[str, Any]:
    """Colour, marker and width of the method at `index` of a comparison, in which the baseline comes first.

    The baseline is wider: it shows beneath a method whose curve is the same.
    """
    if name == baseline:
        return {"color": BASELINE_COLOUR, "marker": MARKERS[0], "linewidth": 4.5}
    return {"color": COLOURS[(index - 1) % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)], "linewidth": 2.2}


def band(panel: Axes, x, middle, deviation, colour: str) -> None:
    panel.fill_between(x, middle - deviation, middle + deviation, color=colour, alpha=0.16, linewidth=0)


def legend(figure: Figure, *panels: Axes) -> None:
    """Put one legend below the panels, where it covers no line."""
    entries = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        columns = min(5, len(entries))
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns, frameon=False)


def locator(integer: bool = False) -> MaxNLocator:
    return MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=integer)


def name(method: MethodSummary) -> str:
    return method.name if len(method.runs) == 1 else f"{method.name} ({len(method.runs)} seeds)"


def time_unit(longest_seconds: float) -> tuple[float, str]:
    """Return (seconds in the unit, its name) so that `longest_seconds` reads as a small number."""
    if longest_seconds >= 2 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if longest_seconds >= 120 else (1.0, "seconds")
