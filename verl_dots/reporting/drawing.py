"""How all figures look: style, colours, markers, bands, legends and axes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from verl_dots.reporting.comparison import MethodSummary

BASELINE_COLOUR = "#1a1a1a"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b5cf6", "#8c6d31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.")
DOTS_PER_INCH = 150
SIZE_INCHES = (15.0, 5.4)
LEGEND_CHARACTERS = 150  # in a line as wide as the figure
LONGEST_NAME = 60
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
# In print, with text of 8 points: a figure as wide as a page, in inches, which must not be shrunk.
PRINT_WIDTH = 7.0
PRINT_CHARACTERS = 105  # in a line as wide as the figure
PRINT_STYLE = STYLE | {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.handlelength": 3.0,
    "figure.titlesize": 8.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "figure.constrained_layout.w_pad": 0.04,
    "figure.constrained_layout.h_pad": 0.04,
}


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` as a PNG, whatever the path ends in."""
    figure.savefig(path, dpi=DOTS_PER_INCH, format="png")


def look(index: int, name: str, baseline: str) -> dict[str, Any]:
    """Colour, marker, dashes and width of the method at `index` of a comparison, in which the baseline comes first.

    The baseline is wider: it shows beneath a method whose curve is the same. No two methods look the same: where the
    colours begin again, the dashes change.
    """
    if name == baseline:
        return {"color": BASELINE_COLOUR, "marker": MARKERS[0], "linewidth": 4.5, "linestyle": "-"}
    colour, marker = COLOURS[(index - 1) % len(COLOURS)], MARKERS[index % len(MARKERS)]
    dashes = DASHES[(index - 1) // len(COLOURS) % len(DASHES)]
    return {"color": colour, "marker": marker, "linewidth": 2.2, "linestyle": dashes}


def band(panel: Axes, x, middle, deviation, colour: str) -> None:
    panel.fill_between(x, middle - deviation, middle + deviation, color=colour, alpha=0.16, linewidth=0)


def legend(figure: Figure, *panels: Axes, characters: int = LEGEND_CHARACTERS) -> None:
    """Put one legend below the panels, where it covers no line; see `legend_below`."""
    entries = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    legend_below(figure, entries, characters)


def legend_below(figure: Figure, entries: Mapping[str, Any], characters: int = LEGEND_CHARACTERS) -> None:
    """Put label -> handle below the panels; as many columns as the longest label allows in a line of `characters`."""
    if entries:
        longest = max(len(label) for label in entries) + 6  # the line before it, the space behind it
        columns = max(1, min(5, len(entries), characters // longest))
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns, frameon=False)


def locator(integer: bool = False) -> MaxNLocator:
    return MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=integer)


def name(method: MethodSummary) -> str:
    """A method's label in a legend: its name, how many seeds, and how many of them are unfinished."""
    unfinished = "unfinished" if len(method.runs) == 1 else f"{method.unfinished} unfinished"
    remarks = [f"{len(method.runs)} seeds"] * (len(method.runs) > 1) + [unfinished] * bool(method.unfinished)
    return plain(method.name) + (f" ({', '.join(remarks)})" if remarks else "")


def plain(text: str) -> str:
    """`text` as it is for matplotlib, which sets formulas between dollar signs and hides labels that begin with _."""
    text = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME // 2]}...{text[-LONGEST_NAME // 2 :]}"
    return (" " if text.startswith("_") else "") + escaped(text)


def escaped(text: str) -> str:
    """`text` without the dollar signs between which matplotlib sets formulas."""
    return text.replace("$", r"\$")


def name_lacking(panel: Axes, key: str, lacking: list[str]) -> None:
    """Write into a panel which methods did not record what it shows; all of them if it is empty."""
    if not panel.lines:
        words = f"{key}\nwas not recorded"
        panel.text(0.5, 0.5, words, ha="center", va="center", transform=panel.transAxes)
    elif lacking:
        words = f"not recorded: {', '.join(map(plain, lacking))}"
        panel.text(0.98, 0.98, words, ha="right", va="top", size="small", transform=panel.transAxes, wrap=True)


def time_unit(longest_seconds: float) -> tuple[float, str]:
    """Return (seconds in the unit, its name) so that `longest_seconds` reads as a small number; NaN: not known."""
    if longest_seconds >= 2 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if longest_seconds >= 120 else (1.0, "seconds")
