"""What our runs have for a column of a paper's table: from rows, timing runs and evaluations, or why it is missing.

`MEASURES` are the names that `ours` of papers.yaml may have, besides accuracy/BENCHMARK and pass@K/BENCHMARK.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from verl_dots.evidence import curves, summary_cells
from verl_dots.evidence.cells import Cell, Figure, Missing, Why
from verl_dots.evidence.combinations import BASE
from verl_dots.evidence.evaluations import Evaluations
from verl_dots.evidence.extra_figures import Extra
from verl_dots.evidence.measuring import Measured
from verl_dots.evidence.records import ACCURACY_RUN, Evidence
from verl_dots.evidence.summary_cells import mean_figure, mean_of_last
from verl_dots.reporting import validation_curves

_VALIDATION = "val-core/{}/acc/mean@"


@dataclass(frozen=True)
class Asked:
    """Of what a figure is asked. `reference`, `share`: see `papers.PaperTable`."""

    combination: str
    method: str
    reference: str = ""
    share: float = 1.0


Measure = Callable[["Ours", Asked], Cell]


@dataclass(frozen=True)
class Ours:
    """What is known of our runs."""

    evidence: Evidence
    measured: Measured
    evaluations: Evaluations = field(default_factory=dict)
    extra: Extra = field(default_factory=dict)

    @property
    def by_seed(self) -> pd.DataFrame:
        """See `measures`."""
        return self.measured.by_seed

    @property
    def summary(self) -> pd.DataFrame:
        """See `measures`."""
        return self.measured.summary

    def cell(self, measure: str, asked: Asked) -> Cell:
        """The figure that `measure` names.

        Raises:
            KeyError: no measure has this name.
        """
        if (found := self.extra.get((asked.combination, asked.method, measure))) is not None:
            return found
        found = self._cell(measure, asked)
        return self._not_compared(asked) if found == Missing(Why.NOT_RUN) else found

    def reached(self, asked: Asked, share: int = 100) -> Cell:
        """See `summary_cells.reached`."""
        found = summary_cells.reached(self.summary, asked.combination, asked.method, share)
        return self._not_compared(asked) if found == Missing(Why.NOT_RUN) else found

    def _not_compared(self, asked: Asked) -> Missing:
        """Why there is nothing of a method: it was not run, or the baseline was not run with its seeds."""
        if not self.seeds(asked.combination, asked.method):
            return Missing(Why.NOT_RUN)
        return Missing(Why.NOT_MEASURED, f"no seed of {self.measured.baseline}")

    def _cell(self, measure: str, asked: Asked) -> Cell:
        name, _, benchmark = measure.partition("/")
        if asked.method == BASE:
            return self._before_training(asked.combination, name, benchmark)
        if benchmark:
            return self._benchmark(name, benchmark, asked)
        if name not in MEASURES:
            raise KeyError(f"no measure is named {measure!r}; there are {', '.join(MEASURES)}")
        return MEASURES[name](self, asked)

    def saving(self, measure: str, asked: Asked) -> Cell:
        """A share of the baseline's cost, in %: one of the measures saved_*."""
        key = (asked.combination, asked.method)
        if asked.method == self.measured.baseline and asked.combination in set(self.summary.combination):
            return "baseline"
        found = summary_cells.saving(self.summary, *key, measure)
        return self.timed(found, asked, measure) if summary_cells.of_time(measure) else found

    def timed(self, cell: Cell, asked: Asked, measure: str = summary_cells.STEP_SECONDS) -> Cell:
        """A figure of seconds, as `summary_cells.timed` has it."""
        key = (asked.combination, asked.method)
        return summary_cells.timed(cell, self.by_seed, *key, self.measured.apart, measure)

    def seeds(self, combination: str, method: str) -> dict[int, pd.DataFrame]:
        """Rows of each seed's accuracy run, by step; empty where there is no run."""
        steps = self.evidence.steps
        mine = (steps.combination == combination) & (steps.method == method) & (steps.kind == ACCURACY_RUN)
        return {int(seed): rows.sort_values("step") for seed, rows in steps[mine].groupby("seed")}

    def _before_training(self, combination: str, name: str, benchmark: str) -> Cell:
        """Validation of the baseline's runs at step 0."""
        runs = self.seeds(combination, self.measured.baseline)
        if name not in ("accuracy", "final_accuracy"):
            return Missing(Why.NOT_MEASURED if runs else Why.NOT_RUN)
        untrained = [rows[rows.step == 0] for rows in runs.values()]
        return _validated(untrained, benchmark) if name == "accuracy" else mean_of_last(untrained, ["accuracy"])

    def _benchmark(self, name: str, benchmark: str, asked: Asked) -> Cell:
        runs = self.seeds(asked.combination, asked.method)
        if not runs:
            return Missing(Why.NOT_RUN)
        keys = [(asked.combination, asked.method, seed) for seed in runs]
        found = [self.evaluations[key] for key in keys if key in self.evaluations]
        values = [one.share(name, benchmark) for one in found]
        same_questions = len({one.questions(benchmark) for one in found}) == 1
        if same_questions and len(values) == len(runs) and None not in values:
            return mean_figure([100 * value for value in values])
        if name == "accuracy":
            return _validated(list(runs.values()), benchmark)
        return Missing(Why.NOT_MEASURED)


def _validated(runs: Sequence[pd.DataFrame], benchmark: str) -> Cell:
    """The last validation on a data source, in %; of several mean@N that of the largest N which all runs have."""
    of_source = re.compile(re.escape(_VALIDATION.format(benchmark)) + r"(\d+)")
    found = {int(match[1]): match[0] for rows in runs for match in map(of_source.fullmatch, map(str, rows)) if match}
    return mean_of_last(runs, [found[samples] for samples in sorted(found, reverse=True)])


def _figure(measure: str, scale: float = 1.0) -> Measure:
    return lambda ours, asked: summary_cells.figure(ours.summary, asked.combination, asked.method, measure, scale)


def _deviation(ours: Ours, asked: Asked) -> Cell:
    """Of the final accuracies over the seeds, in points."""
    return summary_cells.deviation(ours.summary, asked.combination, asked.method, "final_accuracy", 100.0)


def _difference(measure: str) -> Measure:
    """Points of accuracy above the baseline's run of the same seed."""

    def difference(ours: Ours, asked: Asked) -> Cell:
        of_baseline = asked.method == ours.measured.baseline and asked.combination in set(ours.summary.combination)
        return "baseline" if of_baseline else _figure(measure, 100.0)(ours, asked)

    return difference


def _seconds(ours: Ours, asked: Asked, scale: float = 1.0) -> Cell:
    """Seconds of a step times `scale`."""
    key = (asked.combination, asked.method)
    return ours.timed(summary_cells.figure(ours.summary, *key, summary_cells.STEP_SECONDS, scale), asked)


def _training_time(unit_seconds: float) -> Measure:
    """Steps of the runs times seconds of a step, in units of some seconds."""

    def time(ours: Ours, asked: Asked) -> Cell:
        steps = summary_cells.figure(ours.summary, asked.combination, asked.method, summary_cells.STEPS)
        return _seconds(ours, asked, steps.value / unit_seconds) if isinstance(steps, Figure) else steps

    return time


def _saving(name: str) -> Measure:
    def saving(ours: Ours, asked: Asked) -> Cell:
        return ours.saving(summary_cells.SAVINGS[name], asked)

    return saving


def _extra_steps(ours: Ours, asked: Asked) -> list[tuple[float, float]] | Missing:
    """Of each seed: further steps to the reference's accuracy, and after how many steps the reference had it.

    AdaRFT's table 1. Missing if one of the seeds never gets there: a mean of the others would favour those that fail.
    """
    runs, references = (ours.seeds(asked.combination, name) for name in (asked.method, asked.reference))
    if not runs:
        return Missing(Why.NOT_RUN)
    both = [seed for seed in runs if seed in references]
    if not both:
        return Missing(Why.NOT_MEASURED, f"no seed of {asked.reference}")
    found, smoothing = [], ours.measured.smoothing
    for seed in both:
        after = asked.share * float(references[seed].step.max())
        rows, _ = curves.at_common_steps(pd.concat([references[seed], runs[seed]]), asked.reference, smoothing)
        of = {method: _curve(one, smoothing) for method, one in rows.groupby("method")}
        if asked.method not in of:
            return Missing(Why.NOT_MEASURED, f"validated at other steps than {asked.reference}")
        accuracy = float(np.interp(after, of[asked.reference].step_E, of[asked.reference].accuracy_E, left=np.nan))
        if np.isnan(accuracy):
            return Missing(Why.NOT_MEASURED, f"{asked.reference} was first validated later")
        if (reach := validation_curves.first_reach(of[asked.method], accuracy)) is not None:
            found.append((reach.steps - after, after))
    return found if len(found) == len(both) else Missing(Why.NOT_REACHED, f"{len(found)} of {len(both)} seeds")


def _extra(of: Callable[[float, float], float]) -> Measure:
    """A figure of the extra steps and of the steps of the reference; 0 of the reference itself."""

    def extra(ours: Ours, asked: Asked) -> Cell:
        if asked.method == asked.reference:
            return Figure(0.0) if ours.seeds(asked.combination, asked.method) else Missing(Why.NOT_RUN)
        found = _extra_steps(ours, asked)
        return found if isinstance(found, Missing) else mean_figure([of(steps, after) for steps, after in found])

    return extra


def _extra_seconds(ours: Ours, asked: Asked) -> Cell:
    """Mean extra steps times mean seconds of a step, as the paper has it."""
    steps, seconds = _extra(lambda steps, _: steps)(ours, asked), _seconds(ours, asked)
    if isinstance(steps, Missing) or asked.method == asked.reference:
        return steps
    if isinstance(seconds, Missing):
        return seconds
    return Figure(steps.value * seconds.value, seeds=steps.seeds, remark=seconds.remark)


def _curve(rows: pd.DataFrame, smoothing: str) -> validation_curves.Curve:
    return validation_curves.validation_curve(curves.smoothed(rows, smoothing), ["accuracy"])


# Names that `ours` of papers.yaml may have.
MEASURES: dict[str, Measure] = {
    **{name: _saving(name) for name in summary_cells.SAVINGS},
    "final_accuracy": _figure("final_accuracy", 100.0),
    "accuracy_deviation": _deviation,
    **{name: _difference(name) for name in ("difference", "difference_at_tokens")},
    "thousand_tokens": _figure("generated_tokens", 1e-3),
    "seconds_per_step": _seconds,
    "hours": _training_time(3600.0),
    "minutes": _training_time(60.0),
    "rho": _figure("rho"),
    "rho_off_the_shelf": lambda ours, asked: Missing(Why.NOT_MEASURED),  # no run has it: see extra_figures.py
    "extra_steps": _extra(lambda steps, _: steps),
    "extra_steps_share": _extra(lambda steps, after: 100 * steps / after),
    "extra_seconds": _extra_seconds,
}
