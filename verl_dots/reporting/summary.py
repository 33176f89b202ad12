"""Summarise each method's runs and compare the methods with a baseline."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from verl_dots.reporting import measures
from verl_dots.reporting.measures import Curve, MeanStd, Reach, Savings
from verl_dots.reporting.runs import Run, RunError

DEFAULT_BASELINE = "grpo"
GAIN_SHARES = (0.5, 0.75, 0.9)
TIME_SHARES = (0.25, 0.5, 0.75, 1.0)
# Shares of a step's groups: their metric, and over which last share of the steps it is averaged.
OUTCOMES = {
    "effective": (measures.EFFECTIVE_GROUPS, 1.0),
    "all wrong": (measures.ALL_WRONG_GROUPS, 1.0),
    "all right": (measures.ALL_RIGHT_GROUPS, 1.0),
    "all wrong, last third": (measures.ALL_WRONG_GROUPS, 1 / 3),
}


@dataclass(frozen=True)
class Milestone:
    """Where a method reaches a share of the baseline's gain, and what it saves until there; None if it never does."""

    share: float
    reach: Reach | None
    savings: Savings | None


@dataclass(frozen=True)
class MethodSummary:
    """One method: its runs, smoothed curves, and where it stands against the baseline.

    `curves` holds one smoothed curve a run, `mean` their mean at the steps all runs share.
    `reach` and `savings` are for the baseline's final accuracy and taken from `mean`; None if
    it is never reached. `milestones` are the same for parts of the baseline's gain: its final
    accuracy often lies on the flat end of the curves, where a small difference moves the
    crossing far. Costs are means over the runs: steps, seconds, tokens. `effective_groups` is
    the mean share of groups with different rewards in a train batch; nan where it was not recorded. `outcomes` are
    means of that and of other shares of groups, see `OUTCOMES`.
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
    seconds_per_step: float
    tokens: float
    seconds_by_part: dict[str, float]
    effective_groups: float
    outcomes: dict[str, float]
    reach: Reach | None
    savings: Savings | None
    milestones: tuple[Milestone, ...]


@dataclass(frozen=True)
class Comparison:
    """All methods. `target` is the baseline's final accuracy; `is_accuracy` whether it is a fraction right.

    `window` is how many evaluations the curves are trailing means of; 1 leaves them as measured.
    """

    methods: tuple[MethodSummary, ...]
    baseline: str
    target: float
    metric_keys: tuple[str, ...]
    is_accuracy: bool
    window: int

    @property
    def smoothing(self) -> str:
        """How the accuracy was smoothed, in words."""
        return "as measured" if self.window == 1 else f"trailing mean of {self.window} evaluations"

    @property
    def label(self) -> str:
        """What is measured, for headings and axes."""
        if self.is_accuracy:
            return "Validation accuracy"
        return self.metric_keys[0] if len(self.metric_keys) == 1 else "Validation reward"


def compare(groups: Mapping[str, Sequence[Run]], baseline: str | None = None, window: int | None = None) -> Comparison:
    """Summarise `groups` (method name to runs, see `runs.group_by_name`).

    `window` is the number of evaluations to smooth over; None smooths only where all runs have enough of them.

    Raises:
        RunError: an unknown baseline, or runs that were validated on different data.
    """
    baseline = choose_baseline(list(groups), baseline)
    metric_keys = _common_metric_keys([run for runs in groups.values() for run in runs])
    raw = {name: _curves(runs) for name, runs in groups.items()}
    if window is None:
        window = measures.default_window(min(len(curve.accuracy_E) for curves in raw.values() for curve in curves))
    curves = {name: [measures.smooth_curve(curve, window) for curve in raw[name]] for name in groups}
    means = {name: _mean_curve(name, curves[name]) for name in groups}
    target = float(means[baseline].accuracy_E[-1])
    methods = [
        _summarise(name, tuple(runs), curves[name], means[name], means[baseline]) for name, runs in groups.items()
    ]
    methods.sort(key=lambda method: method.name != baseline)  # the baseline first, the rest as given
    is_accuracy = all("/acc/" in key for key in metric_keys)
    return Comparison(tuple(methods), baseline, target, metric_keys, is_accuracy, window)


def choose_baseline(names: Sequence[str], requested: str | None = None) -> str:
    """Return the requested method, or `grpo` if it is there, or the first.

    Raises:
        RunError: the requested method is not among `names`.
    """
    if requested is None:
        return DEFAULT_BASELINE if DEFAULT_BASELINE in names else names[0]
    if requested in names:
        return requested
    near = difflib.get_close_matches(requested, names, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise RunError(f"no method is named {requested!r}; the runs given are of {sorted(names)}.{hint}")


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON values: NaN becomes null, accuracies and shares stay fractions."""
    methods = []
    for method in comparison.methods:
        entry = {
            "name": method.name,
            "runs": [
                {"path": str(run.path), "seed": run.seed, "started": run.started, "finished": run.finished}
                | {"versions": run.versions, "final_accuracy": float(curve.accuracy_E[-1])}
                for run, curve in zip(method.runs, method.curves, strict=True)
            ],
            "mean_curve": {name.removesuffix("_E"): values.tolist() for name, values in vars(method.mean).items()},
        }
        for name in ("first", "final", "gain", "reach", "savings"):
            value = getattr(method, name)
            entry[name] = None if value is None else asdict(value)
        entry["milestones"] = [asdict(milestone) for milestone in method.milestones]
        for name in ("steps", "wall_seconds", "seconds_per_step", "tokens", "seconds_by_part", "outcomes"):
            entry[name] = getattr(method, name)
        entry["effective_groups"] = method.effective_groups
        methods.append(entry)
    return _without_nan(
        {
            "baseline": comparison.baseline,
            "target_accuracy": comparison.target,
            "metric_keys": list(comparison.metric_keys),
            "smoothing": comparison.smoothing,
            "methods": methods,
        }
    )


def _summarise(name: str, runs: tuple[Run, ...], curves: list[Curve], mean: Curve, baseline: Curve) -> MethodSummary:
    first = [float(curve.accuracy_E[0]) for curve in curves]
    final = [float(curve.accuracy_E[-1]) for curve in curves]
    parts = [measures.seconds_by_part(run.rows) for run in runs]
    last_rows = [run.rows.iloc[-1] for run in runs]
    whole, *milestones = (_milestone(share, mean, baseline) for share in (1.0, *GAIN_SHARES))
    return MethodSummary(
        name=name,
        runs=runs,
        curves=tuple(curves),
        mean=mean,
        first=measures.mean_std(first),
        final=measures.mean_std(final),
        gain=measures.mean_std([end - start for start, end in zip(first, final, strict=True)]),
        steps=float(np.mean([row["step"] for row in last_rows])),
        wall_seconds=float(np.mean([row["wall_seconds"] for row in last_rows])),
        seconds_per_step=float(np.mean([measures.seconds_per_step(run.rows) for run in runs])),
        tokens=float(np.mean([row["generated_tokens"] for row in last_rows])),
        seconds_by_part={
            part: float(np.mean([seconds.get(part, 0.0) for seconds in parts]))
            for part in dict.fromkeys(part for seconds in parts for part in seconds)
        },
        effective_groups=float(np.mean([measures.mean_of(run.rows, measures.EFFECTIVE_GROUPS) for run in runs])),
        outcomes={
            label: float(np.mean([measures.mean_of(run.rows, key, last) for run in runs]))
            for label, (key, last) in OUTCOMES.items()
        },
        reach=whole.reach,
        savings=whole.savings,
        milestones=tuple(milestones),
    )


def _milestone(share: float, mean: Curve, baseline: Curve) -> Milestone:
    first, final = float(baseline.accuracy_E[0]), float(baseline.accuracy_E[-1])
    target = final if share == 1 else first + share * (final - first)
    reach = measures.first_reach(mean, target)
    return Milestone(share, reach, measures.savings(reach, measures.first_reach(baseline, target)))


def _curves(runs: Sequence[Run]) -> list[Curve]:
    curves = []
    for run in runs:
        try:
            curve = measures.validation_curve(run.rows, run.metric_keys)
        except ValueError as error:
            raise RunError(f"{run.path}: {error}") from error
        curves.append(curve)
    return curves


def _mean_curve(name: str, curves: list[Curve]) -> Curve:
    try:
        return measures.mean_curve(curves)
    except ValueError as error:
        raise RunError(f"method {name!r}: {error}") from error


def _common_metric_keys(runs: Sequence[Run]) -> tuple[str, ...]:
    first = runs[0]
    for run in runs[1:]:
        if run.metric_keys != first.metric_keys:
            raise RunError(
                f"{first.path} was validated on {list(first.metric_keys)} but {run.path} on {list(run.metric_keys)}; "
                "their accuracies cannot be compared. Name one key that all of them have with --metric."
            )
    return first.metric_keys


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
