"""What is told of methods and of their comparison: the records that tables, figures and the export read."""

from __future__ import annotations

from dataclasses import dataclass

from verl_dots.reporting import metric_means
from verl_dots.reporting.counted_runs import LeftOut
from verl_dots.reporting.metric_means import MeanStd
from verl_dots.reporting.runs import Run
from verl_dots.reporting.validation_curves import Curve, Reach, Savings

GAIN_SHARES = (0.5, 0.75, 0.9)
TIME_SHARES = (0.25, 0.5, 0.75, 1.0)
# Shares of a step's groups: their metric, and over which last share of the steps it is averaged.
OUTCOMES = {
    "effective": (metric_means.EFFECTIVE_GROUPS, 1.0),
    "all wrong": (metric_means.ALL_WRONG_GROUPS, 1.0),
    "all right": (metric_means.ALL_RIGHT_GROUPS, 1.0),
    "all wrong, last third": (metric_means.ALL_WRONG_GROUPS, 1 / 3),
}


@dataclass(frozen=True)
class Milestone:
    """Where a method reaches a share of the baseline's gain and what it saves until there, or why that is not told."""

    share: float
    reach: Reach | None
    savings: Savings | None
    no_saving: str | None


@dataclass(frozen=True)
class MethodSummary:
    """One method: its runs, smoothed curves, and where it stands against the baseline.

    `curves` holds one smoothed curve a run, at the steps at which all runs were validated, `mean` their mean. `reach`
    and `savings` are for the baseline's final accuracy and taken from `mean`; `no_saving` says in some words why there
    is none. `milestones` are the same for parts of the baseline's gain: its final accuracy often lies on the flat end
    of the curves, where a small difference moves the crossing far. Costs are means over the runs: steps, seconds,
    tokens. `effective_groups` is the mean share of groups with different rewards in a train batch; nan where it was
    not recorded. `outcomes` are means of that and of other shares of groups, see `OUTCOMES`.
    """

    name: str
    runs: tuple[Run, ...]
    curves: tuple[Curve, ...]
    mean: Curve
    first: MeanStd
    final: MeanStd
    gain: MeanStd
    steps: float
    wall_seconds: float
    train_seconds: float
    seconds_per_step: float
    tokens: float
    seconds_by_phase: dict[str, float]
    effective_groups: float
    outcomes: dict[str, float]
    reach: Reach | None
    savings: Savings | None
    no_saving: str | None
    milestones: tuple[Milestone, ...]

    @property
    def unfinished(self) -> int:
        """How many of the runs are not whole ones."""
        return sum(run.unfinished is not None for run in self.runs)


@dataclass(frozen=True)
class Comparison:
    """All methods, the baseline first.

    `target` is the baseline's final accuracy; `is_accuracy` whether it is a fraction right. `window` is how many
    validations the curves are trailing means of; 1 leaves them as measured. `no_saving` says why no method can save
    anything against the baseline, `no_milestones` why parts of its gain are not told; None where they can. `left_out`
    are the runs that do not count, `notes` what a reader must know of the rest.
    """

    methods: tuple[MethodSummary, ...]
    baseline: str
    target: float
    metric_keys: tuple[str, ...]
    is_accuracy: bool
    window: int
    no_saving: str | None
    no_milestones: str | None
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def smoothing(self) -> str:
        """How the accuracy was smoothed, in words."""
        return "as measured" if self.window == 1 else f"trailing mean of {self.window} validations"

    @property
    def label(self) -> str:
        """What is measured, for headings and axes."""
        if self.is_accuracy:
            return "Validation accuracy"
        return self.metric_keys[0] if len(self.metric_keys) == 1 else "Validation reward"
