"""pass@k of the evaluations of runs, against k.

Axis suffixes: `_K` values of k, `_S` seeds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
OVER_QUESTIONS = "95 % over questions"
OVER_SEEDS = "least to greatest of the seeds"
SPREAD = 1.025  # markers of two methods that follow each other at the same k stand apart by this factor


@dataclass(frozen=True)
class PassAt:
    """Shares in [0, 1] of the questions, shape (K,), means over seeds.

    Attributes:
        k_K: ascending.
        low_K, high_K: least and greatest of the seeds, or the 95 % interval over questions where every method of the
            figure has one seed; nan where it is not known, and of one seed beside others of several.
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
    found = _bars_alike(found)
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
            _bars([curve.seeds for curve in every]),
            "points of a k stand side by side",
            panels.seeds_told([curve.seeds for curve in every]),
        )
    return Drawn(figure, text + (f" Evaluated on other data and left out: {', '.join(other)}." if other else ""))


def _of_runs(evaluated: Sequence[Mapping[str, Any]]) -> PassAt | None:
    """The mean over the seeds that were evaluated, at the k that all have; None where none was, or they differ in data.

    Of several seeds there is their range, as in the other figures; of one alone the interval over its questions, see
    `_bars_alike`.
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

    def values(name: str) -> np.ndarray:
        """Of each seed and k."""
        found = [[of[f"pass@{k}"].get(name) for k in sizes] for of in of_seeds]
        return np.array(found, dtype=float)  # None is nan

    value_SK = values("value")
    alone = len(of_seeds) == 1
    low_K, high_K = (values("low")[0], values("high")[0]) if alone else (value_SK.min(axis=0), value_SK.max(axis=0))
    return PassAt(np.array(sizes), value_SK.mean(axis=0), low_K, high_K, len(of_seeds), questions[0])


def _bars_alike(found: Mapping[str, Mapping[str, PassAt]]) -> dict[str, dict[str, PassAt]]:
    """The same without the intervals over questions, where other methods have bars over seeds."""
    if all(curve.seeds == 1 for curves in found.values() for curve in curves.values()):
        return {name: dict(curves) for name, curves in found.items()}

    def alike(curve: PassAt) -> PassAt:
        nothing_K = np.full_like(curve.value_K, np.nan)
        return curve if curve.seeds > 1 else replace(curve, low_K=nothing_K, high_K=nothing_K)

    return {name: {method: alike(curve) for method, curve in curves.items()} for name, curves in found.items()}


def _bars(counts: Sequence[int]) -> str:
    """What the bars are, where lines are of so many seeds."""
    if max(counts) == 1:
        return f"bars: {OVER_QUESTIONS}"
    return f"bars: {OVER_SEEDS}" + (", none of one seed alone" if min(counts) == 1 else "")


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
