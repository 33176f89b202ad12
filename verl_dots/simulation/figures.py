"""Figures of simulated runs: their curves, and what they came to along an axis of the grid.

They are as wide as a page, with text of 8 points. Ranges are the intervals of the printed table.

Axis suffixes: `_K` seeds, `_S` steps, `_W` parts of a run.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verl_dots.reporting.drawing import PRINT_CHARACTERS, PRINT_STYLE, PRINT_WIDTH, legend, locator, look, plain
from verl_dots.simulation.intervals import interval
from verl_dots.simulation.results import Result, all_come

MOST_CURVES = 5  # beside uniform sampling
WINDOW = 20  # parts of a run that effective groups are averaged over
MARKERS = 5  # of a line
MOST_BANDS = 3  # of a panel; of more lines the interval stands at the markers alone
HEIGHT = 2.0  # of a panel, in inches
NOT_ALL = "savings: nothing where not all seeds come to the accuracy"
INTERVAL = "Student's 95 % interval of the mean over seeds"


def curves(results: Sequence[Result]) -> Figure:
    """Accuracy by step and by rollouts, effective groups by step; mean over seeds and its interval.

    Args:
        results: uniform sampling first. Of many settings, those with the highest final accuracy for their rollouts.
    """
    first, *others = results
    few = sorted(others, key=_rollouts_needed)[:MOST_CURVES] if len(others) > MOST_CURVES else others
    shown = [first, *[result for result in others if result in few]]
    with matplotlib.rc_context(PRINT_STYLE):
        figure = Figure(figsize=(PRINT_WIDTH, HEIGHT + 1.2))
        panels = figure.subplots(1, 3)
        bands = len(shown) <= MOST_BANDS
        for index, result in enumerate(shown):
            _draw(panels, index, result, first.label, bands)
        for panel, (x, y) in zip(
            panels,
            (("step", "accuracy (%)"), ("rollouts (thousands)", "accuracy (%)"), ("step", "effective groups (%)")),
            strict=True,
        ):
            panel.set(xlabel=x, ylabel=y)
            panel.xaxis.set_major_locator(locator())
        left_out = len(shown) < len(results)
        of = f"uniform sampling and the {MOST_CURVES} of {len(others)} settings that save most rollouts"
        parts = min(WINDOW, len(first.traces[0].accuracy))
        _title(figure, *[of] * left_out, _range_told(shown, bands), f"effective groups: means of {parts} parts")
        legend(figure, *panels, characters=PRINT_CHARACTERS)
    return figure


def sweep(results: Sequence[Result]) -> Figure | None:
    """Effective groups, savings and coverage along the grid's first axis of numbers; None where there is none."""
    swept = [result for result in results if len(result.values) > 1]
    axis = next((key for key in (swept[0].values if swept else ()) if _numeric(swept, key)), None)
    if axis is None:
        return None
    target = [name for name in swept[0].figures if name.startswith("steps saved to ")][-1]
    measures = {
        "effective groups (%)": "effective",
        "steps saved (%)": target,
        "rollouts saved (%)": target.replace("steps", "rollouts", 1),
        "coverage (%)": "coverage",
    }
    lines: dict[str, list[Result]] = {}
    for result in swept:
        rest = [
            value if key == "policy" else f"{key.rpartition('.')[2]}={value}"
            for key, value in result.values.items()
            if key != axis
        ]
        lines.setdefault(" ".join(rest), []).append(result)
    numbers = sorted({float(result.values[axis]) for result in swept})
    with matplotlib.rc_context(PRINT_STYLE):
        figure = Figure(figsize=(PRINT_WIDTH, 2 * HEIGHT + 1.0))
        panels = figure.subplots(2, 2).ravel()
        for panel, (label, name) in zip(panels, measures.items(), strict=True):
            for index, (line, members) in enumerate(lines.items(), start=1):
                _line(panel, index, line, sorted(members, key=lambda one: float(one.values[axis])), axis, name)
            if numbers[0] > 0 and numbers[-1] / numbers[0] >= 20:
                panel.set_xscale("log")
            panel.set(xlabel=axis.removeprefix("dots."), ylabel=label)
        _title(figure, _range_told(swept, bands=False), *[NOT_ALL] * (not all_come(swept)))
        legend(figure, *panels, characters=PRINT_CHARACTERS)
    return figure


def _range_told(results: Sequence[Result], bands: bool) -> str:
    """What the bands or bars are; empty where no setting has several seeds."""
    if not any(one.count > 1 for result in results for one in result.figures.values()):
        return "one seed a line"
    return f"{'bands' if bands else 'bars at markers'}: {INTERVAL}"


def _title(figure: Figure, *parts: str) -> None:
    lines = textwrap.wrap("; ".join(parts), PRINT_CHARACTERS)
    figure.suptitle("\n".join(lines))


def _draw(panels: Sequence[Axes], index: int, result: Result, baseline: str, bands: bool) -> None:
    style = _style(index, result.label, baseline)
    accuracy_KS = 100 * np.array([trace.accuracy for trace in result.traces])
    rollouts_S = np.mean([trace.rollouts for trace in result.traces], axis=0) / 1000
    steps_S = np.arange(1, accuracy_KS.shape[1] + 1)
    parts = np.array_split(steps_S, min(WINDOW, len(steps_S)))
    effective_KW = np.array([[100 * trace.effective[part - 1].mean() for part in parts] for trace in result.traces])
    middles_W = np.array([part.mean() for part in parts])
    for panel, x, found in zip(
        panels, (steps_S, rollouts_S, middles_W), (accuracy_KS, accuracy_KS, effective_KW), strict=True
    ):
        ends = [interval(column.tolist()) for column in found.T]
        low, high = np.array([one.low for one in ends]), np.array([one.high for one in ends])
        marked = _marked(len(x), index)
        panel.plot(x, found.mean(axis=0), label=plain(result.label), markevery=marked, **style)
        _range(panel, np.asarray(x), low, high, style["color"], None if bands else marked)


def _line(panel: Axes, index: int, label: str, members: Sequence[Result], axis: str, name: str) -> None:
    style = _style(index, label, "")
    found = [member.figures[name] for member in members]
    x = np.array([float(member.values[axis]) for member in members])
    panel.plot(x, [100 * one.mean for one in found], label=plain(label), **style)
    low, high = np.array([100 * one.low for one in found]), np.array([100 * one.high for one in found])
    _range(panel, x, low, high, style["color"], list(range(len(x))))


def _range(panel: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, at: list[int] | None) -> None:
    """A band between the bounds, or bars at some places; nothing where they are not known."""
    if at is None:
        panel.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    else:
        panel.vlines(x[at], low[at], high[at], color=colour, linewidth=0.8)


def _style(index: int, label: str, baseline: str) -> dict[str, Any]:
    """Colour, marker and dashes: neighbours differ in all three, and no two of 32 lines are the same."""
    dashes = ("-", "--", "-.", ":")
    style = look(index, label, baseline)
    return style | {"linewidth": 2.2 if label == baseline else 1.3, "linestyle": dashes[(index + index // 8) % 4]}


def _marked(points: int, turn: int) -> list[int]:
    """Places of the markers: at even distances, from another one on for each line."""
    every = max(1, -(-points // MARKERS))
    return list(range((2 * turn) % every, points, every))


def _numeric(results: Sequence[Result], key: str) -> bool:
    try:
        return len({float(result.values[key]) for result in results}) > 1
    except ValueError:
        return False


def _rollouts_needed(result: Result) -> float:
    """Rollouts to the last target; those of which not all seeds reach it come last."""
    name = [name for name in result.figures if name.startswith("rollouts to ")][-1]
    mean = result.figures[name].mean
    return np.inf if np.isnan(mean) else mean
