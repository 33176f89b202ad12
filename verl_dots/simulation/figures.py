"""Figures of simulated runs: their curves, and what they came to along an axis of the grid."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verl_dots.reporting.drawing import SIZE_INCHES, STYLE, band, legend, locator, look, plain
from verl_dots.simulation.results import Result

MOST_CURVES = 8  # beside uniform sampling
WINDOW = 20  # parts of a run that effective groups are averaged over


def curves(results: Sequence[Result]) -> Figure:
    """Accuracy by step and by rollouts, effective groups by step; mean and standard deviation over seeds.

    Args:
        results: uniform sampling first. Of many settings, those with the highest final accuracy for their rollouts.
    """
    first, *others = results
    few = sorted(others, key=_rollouts_needed)[:MOST_CURVES] if len(others) > MOST_CURVES else others
    shown = [first, *[result for result in others if result in few]]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES)
        panels = figure.subplots(1, 3)
        for index, result in enumerate(shown):
            _draw(panels, index, result, first.label)
        for panel, (x, y) in zip(
            panels,
            (("step", "accuracy (%)"), ("rollouts (thousands)", "accuracy (%)"), ("step", "effective groups (%)")),
            strict=True,
        ):
            panel.set(xlabel=x, ylabel=y)
            panel.xaxis.set_major_locator(locator())
        if len(shown) < len(results):
            figure.suptitle(f"uniform sampling and the {MOST_CURVES} of {len(others)} settings that save most rollouts")
        legend(figure, *panels)
    return figure


def sweep(results: Sequence[Result]) -> Figure | None:
    """Effective groups, savings and coverage along the grid's first axis of numbers; None where there is none.

    Bands are standard deviations over seeds.
    """
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
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES)
        panels = figure.subplots(1, len(measures))
        for panel, (label, name) in zip(panels, measures.items(), strict=True):
            for index, (line, members) in enumerate(lines.items(), start=1):
                _line(panel, index, line, sorted(members, key=lambda one: float(one.values[axis])), axis, name)
            if numbers[0] > 0 and numbers[-1] / numbers[0] >= 20:
                panel.set_xscale("log")
            panel.set(xlabel=axis.removeprefix("dots."), ylabel=label)
        legend(figure, *panels)
    return figure


def _draw(panels: Sequence[Axes], index: int, result: Result, baseline: str) -> None:
    style = look(index, result.label, baseline) | {"marker": ""}
    accuracy_KS = 100 * np.array([trace.accuracy for trace in result.traces])
    rollouts_S = np.mean([trace.rollouts for trace in result.traces], axis=0) / 1000
    steps_S = np.arange(1, accuracy_KS.shape[1] + 1)
    parts = np.array_split(steps_S, min(WINDOW, len(steps_S)))
    effective_KW = np.array([[100 * trace.effective[part - 1].mean() for part in parts] for trace in result.traces])
    middles_W = np.array([part.mean() for part in parts])
    for panel, x, found in zip(
        panels, (steps_S, rollouts_S, middles_W), (accuracy_KS, accuracy_KS, effective_KW), strict=True
    ):
        panel.plot(x, found.mean(axis=0), label=plain(result.label), **style)
        if len(found) > 1:
            band(panel, x, found.mean(axis=0), found.std(axis=0, ddof=1), style["color"])


def _line(panel: Axes, index: int, label: str, members: Sequence[Result], axis: str, name: str) -> None:
    style = look(index, label, "")
    found = [member.figures[name] for member in members]
    x = [float(member.values[axis]) for member in members]
    middle = np.array([100 * one.mean for one in found])
    panel.plot(x, middle, label=plain(label), **style)
    reach = np.nan_to_num(np.array([100 * one.deviation for one in found]))
    band(panel, x, middle, reach, style["color"])


def _numeric(results: Sequence[Result], key: str) -> bool:
    try:
        return len({float(result.values[key]) for result in results}) > 1
    except ValueError:
        return False


def _rollouts_needed(result: Result) -> float:
    """Rollouts to the last target; those that never reach it come last."""
    name = [name for name in result.figures if name.startswith("rollouts to ")][-1]
    mean = result.figures[name].mean
    return np.inf if np.isnan(mean) else mean
