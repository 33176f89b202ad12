"""The figure of a driver's seconds and memory against rollouts and tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from scripts.driver.growth import AXES, bytes_of, cpu_of, seconds_of, stages_of
from scripts.driver.meters import AWAY
from verl_dots.evidence.figures.style import STYLE, WIDTH
from verl_dots.reporting.drawing import COLOURS, MARKERS, legend_below

SHOWN = 5  # stages with a line of their own, in the first colours
HOLDERS = {"driver": "driver process", "queue": "queue's processes", "replay": "replay buffer"}
ALL = "all stages"
NAMES = {"rows": "rollouts of a step", "tokens": "tokens of the longest response"}
MIB = 1 << 20


def line_along(cells: Sequence[Mapping[str, Any]], axis: str) -> list[Mapping[str, Any]]:
    """The sizes along an axis, at that size of the other axis that has most of them, of several the greatest."""
    other = AXES[axis]
    lines = [[cell for cell in cells if cell[other] == at] for at in sorted({cell[other] for cell in cells})]
    return sorted(max(lines, key=lambda line: (len(line), line[0][other])), key=lambda cell: cell[axis])


def draw(cells: Sequence[Mapping[str, Any]]) -> Figure:
    """Seconds above, memory below; against rollouts on the left, tokens on the right."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 5.6))
        panels = figure.subplots(2, 2, sharex="col", sharey="row")
        stages = stages_of(cells, [AWAY])[:SHOWN]
        for column, axis in enumerate(AXES):
            line = line_along(cells, axis)
            _seconds(panels[0][column], line, axis, stages)
            _memory(panels[1][column], line, axis)
            other, at = AXES[axis], line[0][AXES[axis]]
            what = f"{at:,} rollouts" if other == "rows" else f"responses of up to {at:,} tokens"
            panels[0][column].set_title(what)
            panels[1][column].set_xlabel(NAMES[axis])
        panels[0][0].set_ylabel("CPU seconds of a step")
        panels[1][0].set_ylabel("MiB beyond an idle run's")
        figure.suptitle("Driver of a step, by stage; bars: least to greatest of the steps; dotted: in proportion")
        entries = {text: handle for row in panels for panel in row
                   for handle, text in zip(*panel.get_legend_handles_labels(), strict=True)}  # fmt: skip
        legend_below(figure, entries, 105)
    return figure


def _seconds(panel: Axes, line: Sequence[Mapping[str, Any]], axis: str, stages: Sequence[str]) -> None:
    sizes = [cell[axis] for cell in line]
    of_all = [
        [sum(cpu_of(part) for name, part in step.items() if name != AWAY) for step in cell["steps"]] for cell in line
    ]
    _line(panel, sizes, of_all, ALL, "#1a1a1a", "o", "-")
    for place, stage in enumerate(stages):
        values = [seconds_of(cell, stage) for cell in line]
        _line(panel, sizes, values, stage, COLOURS[place % len(COLOURS)], MARKERS[place + 1], "-")
    _in_proportion(panel, sizes, median(of_all[-1]))
    _scales(panel, sizes)


def _memory(panel: Axes, line: Sequence[Mapping[str, Any]], axis: str) -> None:
    sizes = [cell[axis] for cell in line]
    for place, (what, label) in enumerate(HOLDERS.items()):
        values = [[bytes_of(cell, what) / MIB] for cell in line]
        _line(panel, sizes, values, label, COLOURS[(6, 7, 5)[place]], "spd"[place], "--")
    _in_proportion(panel, sizes, bytes_of(line[-1], "driver") / MIB)
    _scales(panel, sizes)


def _line(panel: Axes, sizes: Sequence[int], values: Sequence[Sequence[float]], label: str, colour: str, marker: str,
          dash: str) -> None:  # fmt: skip
    middle = [median(each) for each in values]
    spread = [[m - min(each) for m, each in zip(middle, values, strict=True)],
              [max(each) - m for m, each in zip(middle, values, strict=True)]]  # fmt: skip
    panel.errorbar(sizes, middle, yerr=spread, label=label, color=colour, marker=marker, linestyle=dash, elinewidth=0.8)


def _in_proportion(panel: Axes, sizes: Sequence[int], greatest: float) -> None:
    panel.plot(sizes, [greatest * size / sizes[-1] for size in sizes], color="#888888", linestyle=":", linewidth=1)


def _scales(panel: Axes, sizes: Sequence[int]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(sizes)
    panel.margins(x=0.09)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axis.set_minor_formatter(NullFormatter())
    panel.xaxis.set_minor_locator(NullLocator())


def write(cells: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw into an SVG whose bytes repeat, or a PNG, by the file's name."""
    with rc_context(STYLE | {"svg.fonttype": "none"}):
        more = {"metadata": {"Date": None}} if file.suffix == ".svg" else {"dpi": 200}
        draw(cells).savefig(file, **more)
