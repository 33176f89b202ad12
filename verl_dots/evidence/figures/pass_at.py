"""pass@k of the evaluations of runs, against k."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from verl_dots.evidence.evaluations import Evaluations
from verl_dots.evidence.figures import panels
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.style import STYLE
from verl_dots.evidence.methods import Look

AVERAGE = "average"
SPREAD = 1.025  # markers of two methods that follow each other at the same k stand apart by this factor


@dataclass(frozen=True)
class PassAt:
    """Shares in [0, 1] of the questions, shape (K,), means over seeds.

    Attributes:
        k_K: ascending.
        low_K, high_K: 95 % interval over questions; nan where it is not known.
        questions: what was evaluated: the data sets with their numbers of questions.
    """

    k_K: np.ndarray
    value_K: np.ndarray
    low_K: np.ndarray
    high_K: np.ndarray
    seeds: int
    questions: tuple[tuple[str, int], ...]


def pass_at_figure(evaluations: Evaluations, looks: Mapping[str, Look]) -> Drawn:
    """A panel a combination, of the average over data sets where they are several.

    Args:
        evaluations: `Evidence.evaluations`.
    """
    found: dict[str, dict[str, PassAt]] = {}
    other: list[str] = []
    for combination in dict.fromkeys(name for name, *_ in evaluations):
        of = {
            method: [one.results for (*run, _), one in evaluations.items() if run == [combination, method]]
            for method in looks
        }
        curves = {method: curve for method, results in of.items() if (curve := _of_runs(results))}
        if not curves:
            continue
        ((most, _),) = Counter(curve.questions for curve in curves.values()).most_common(1)
        found[combination] = {method: curve for method, curve in curves.items() if curve.questions == most}
        other += [f"{looks[method].label} ({combination})" for method in curves if method not in found[combination]]
    if not found:
        return Drawn(None, "no run was evaluated; python -m verl_dots.evaluate RUN --rollouts K does it")
    with rc_context(STYLE):
        figure, axes = panels.grid(len(found))
        for axis, (combination, curves) in zip(axes, found.items(), strict=True):
            _draw_panel(axis, curves, looks)
            panels.name_panel(axis, combination if len(found) > 1 else "")
        panels.label_left(axes)
        panels.legend(figure, looks, [method for curves in found.values() for method in curves])
        every = [curve for curves in found.values() for curve in curves.values()]
        text = panels.title(
            figure,
            "Questions solved in one of k tries, pass@k, after training",
            *([next(iter(found))] if len(found) == 1 else []),
            *sorted({_data(curve.questions) for curve in every}),
            "bars: 95 % over questions",
            "points of a k stand side by side",
            panels.seeds_told([curve.seeds for curve in every]),
        )
    return Drawn(figure, text + (f" Evaluated on other data and left out: {', '.join(other)}." if other else ""))


def _of_runs(evaluated: Sequence[Mapping[str, Any]]) -> PassAt | None:
    """The mean over the seeds that were evaluated, at the k that all have; None where none was, or they differ in data.

    The interval is the mean of the seeds' own. They answer the same questions, so that of their mean is no wider.
    """
    questions = [
        tuple((label, int(of["questions"])) for label, of in results.items() if label != AVERAGE)
        for results in evaluated
    ]
    if len(set(questions)) != 1:
        return None
    of_seeds = [results.get(AVERAGE, next(iter(results.values()))) for results in evaluated]
    names = set.intersection(*(set(of) for of in of_seeds))
    sizes = sorted(int(match[1]) for name in names if (match := re.fullmatch(r"pass@([0-9]{1,9})", name)))
    mean = {
        bound: np.array([
            np.mean([np.nan if (at := of[f"pass@{k}"].get(bound)) is None else at for of in of_seeds]) for k in sizes
        ])
        for bound in ("value", "low", "high")
    }  # fmt: skip
    return PassAt(np.array(sizes), mean["value"], mean["low"], mean["high"], len(of_seeds), questions[0])


def _data(questions: tuple[tuple[str, int], ...]) -> str:
    if len(questions) == 1:
        return f"{questions[0][0]}, {questions[0][1]} questions"
    return f"average of {', '.join(f'{label} ({count})' for label, count in questions)}"


def _draw_panel(axis: Axes, curves: Mapping[str, PassAt], looks: Mapping[str, Look]) -> None:
    for place, (method, curve) in enumerate(curves.items()):
        look = looks[method]
        error = 100 * np.stack([curve.value_K - curve.low_K, curve.high_K - curve.value_K])
        axis.errorbar(
            curve.k_K * SPREAD ** (place - (len(curves) - 1) / 2), 100 * curve.value_K, yerr=np.nan_to_num(error),
            color=look.colour, linestyle=look.dash, marker=look.marker, elinewidth=0.8, label=look.label,
        )  # fmt: skip
    sizes = sorted({int(k) for curve in curves.values() for k in curve.k_K})
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [str(k) for k in sizes])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set(xlabel="k (log scale)", ylabel="pass@k (%)")
