"""Summarise each method's runs and compare the methods with a baseline."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from verl_dots.reporting import fairness, metric_means, obstacles, validated_steps, validation_curves
from verl_dots.reporting.comparison import GAIN_SHARES, OUTCOMES, Comparison, MethodSummary, Milestone
from verl_dots.reporting.counted_runs import FLAG, LeftOut
from verl_dots.reporting.runs import Run, RunError
from verl_dots.reporting.validation_curves import Curve

DEFAULT_BASELINE = "grpo"


def compare(
    groups: Mapping[str, Sequence[Run]],
    baseline: str | None = None,
    window: int | None = None,
    left_out: Sequence[LeftOut] = (),
    notes: Sequence[str] = (),
) -> Comparison:
    """Summarise `groups` (method name to runs, see `runs.group_by_name`).

    Args:
        baseline: the method to compare with; None takes `grpo` or the first.
        window: the number of validations to smooth over; None smooths only where all runs have enough of them, at the
            same steps.
        left_out: the runs that do not count.
        notes: what is known of the runs already, see `counted_runs.Selection`.

    Raises:
        RunError: an unknown baseline, no window, or runs that were validated on different data.
    """
    name = choose_baseline(list(groups), baseline, left_out)
    groups = {name: groups[name], **groups}
    runs = [run for members in groups.values() for run in members]
    metric_keys = common_metric_keys(runs)
    raw, uneven = validated_steps.shared({method: _curves(method, members) for method, members in groups.items()})
    window = _window(window, raw)
    curves = {method: [validation_curves.smooth_curve(curve, window) for curve in raw[method]] for method in groups}
    means = {method: validation_curves.mean_curve(curves[method]) for method in groups}
    is_accuracy, kinds = _is_accuracy(metric_keys, raw)
    notes = (*notes, *_replaced(name, baseline, left_out))
    obstacle = obstacles.of_baseline(name, means[name], window, is_accuracy)
    reference = _Baseline(means[name], window, obstacle)
    methods = tuple(
        _summarise(method, tuple(members), curves[method], means[method], reference)
        for method, members in groups.items()
    )
    remarks = obstacles.remarks(methods[0], methods[1:], is_accuracy) if len(methods) > 1 else []
    return Comparison(
        methods=methods,
        baseline=name,
        target=float(means[name].accuracy_E[-1]),
        metric_keys=metric_keys,
        is_accuracy=is_accuracy,
        window=window,
        no_saving=obstacle,
        no_milestones=obstacle or obstacles.of_milestones(name, means[name]),
        left_out=tuple(left_out),
        notes=(*notes, *fairness.notes(groups), *uneven, *kinds, *obstacles.short_smoothing(raw, window), *remarks),
    )


def choose_baseline(names: Sequence[str], requested: str | None = None, left_out: Sequence[LeftOut] = ()) -> str:
    """Return the requested method, or `grpo` if it is there, or the first.

    Raises:
        RunError: the requested method is not among `names`; `left_out` may tell why.
    """
    if requested is None:
        return DEFAULT_BASELINE if DEFAULT_BASELINE in names else names[0]
    if requested in names:
        return requested
    reasons = "; ".join(f"{one.path}: {one.reason}" for one in left_out if one.name == requested)
    if reasons:
        text = f"the baseline {requested} has no run that counts ({reasons}). Add {FLAG} to count unfinished ones."
        raise RunError(text, key=requested, reason="missing")
    near = difflib.get_close_matches(requested, names, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    text = f"no method is named {requested!r}; the runs given are of {sorted(names)}.{hint}"
    raise RunError(text, key=requested, reason="unknown")


def _replaced(name: str, requested: str | None, left_out: Sequence[LeftOut]) -> list[str]:
    """A note, where the usual baseline was among the runs and none of its runs counts."""
    if requested is None and name != DEFAULT_BASELINE and any(one.name == DEFAULT_BASELINE for one in left_out):
        return [f"no run of {DEFAULT_BASELINE}, the usual baseline, counts: {name} is the baseline."]
    return []


@dataclass(frozen=True)
class _Baseline:
    """What methods are compared with; `obstacle` is why nothing can be saved against it."""

    mean: Curve
    window: int
    obstacle: str | None


def _summarise(
    name: str, runs: tuple[Run, ...], curves: list[Curve], mean: Curve, baseline: _Baseline
) -> MethodSummary:
    first = [float(curve.accuracy_E[0]) for curve in curves]
    final = [float(curve.accuracy_E[-1]) for curve in curves]
    phases = [metric_means.seconds_by_phase(run.rows) for run in runs]
    last_rows = [run.rows.iloc[-1] for run in runs]
    whole, *milestones = (_milestone(share, mean, baseline) for share in (1.0, *GAIN_SHARES))
    return MethodSummary(
        name=name,
        runs=runs,
        curves=tuple(curves),
        mean=mean,
        first=metric_means.mean_std(first),
        final=metric_means.mean_std(final),
        gain=metric_means.mean_std([end - start for start, end in zip(first, final, strict=True)]),
        steps=_mean(row["step"] for row in last_rows),
        wall_seconds=_mean(row["wall_seconds"] for row in last_rows),
        train_seconds=_mean(row["train_seconds"] for row in last_rows),
        seconds_per_step=_mean(metric_means.seconds_per_step(run.rows) for run in runs),
        tokens=_mean(row["generated_tokens"] for row in last_rows),
        seconds_by_phase={
            phase: _mean(seconds.get(phase, 0.0) for seconds in phases)
            for phase in dict.fromkeys(phase for seconds in phases for phase in seconds)
        },
        effective_groups=_mean(metric_means.mean_of(run.rows, metric_means.EFFECTIVE_GROUPS) for run in runs),
        outcomes={
            label: _mean(metric_means.mean_of(run.rows, key, last) for run in runs)
            for label, (key, last) in OUTCOMES.items()
        },
        reach=whole.reach,
        savings=whole.savings,
        no_saving=whole.no_saving,
        milestones=tuple(milestones),
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _milestone(share: float, mean: Curve, baseline: _Baseline) -> Milestone:
    """Costs of reaching a share of the baseline's gain."""
    if baseline.obstacle is not None:
        return Milestone(share, None, None, baseline.obstacle)
    first, final = float(baseline.mean.accuracy_E[0]), float(baseline.mean.accuracy_E[-1])
    target = final if share == 1 else first + share * (final - first)
    obstacle = obstacles.of_method(mean, target, baseline.window, float(baseline.mean.step_E[-1]))
    if obstacle is not None:
        return Milestone(share, None, None, obstacle)
    reach = validation_curves.first_reach(mean, target)
    saved = validation_curves.savings(reach, validation_curves.first_reach(baseline.mean, target))
    if not validated_steps.same_steps(mean, baseline.mean):  # one of the two spent more of its wall time on validation
        saved = replace(saved, wall=math.nan)
    return Milestone(share, reach, saved, None)


def _curves(name: str, runs: Sequence[Run]) -> list[Curve]:
    """The runs' curves at the steps at which all of them were validated."""
    try:
        return validation_curves.align([validation_curves.validation_curve(run.rows, run.metric_keys) for run in runs])
    except ValueError as error:
        raise RunError(f"method {name!r}: {error}", key=name, reason="data") from error


def _window(requested: int | None, curves: Mapping[str, Sequence[Curve]]) -> int:
    """How many validations to average; by itself none where methods were validated at different steps."""
    if requested is None:
        first, *others = (members[0] for members in curves.values())
        even = all(validated_steps.same_steps(first, other) for other in others)
        fewest = min(len(curve.accuracy_E) for members in curves.values() for curve in members)
        return validation_curves.default_window(fewest) if even else 1
    if requested < 1:
        raise RunError(
            f"--smoothing is {requested}; it must be at least 1 validation.", key="--smoothing", reason="range"
        )
    return requested


def _is_accuracy(metric_keys: Sequence[str], curves: Mapping[str, Sequence[Curve]]) -> tuple[bool, list[str]]:
    """Whether the metric is a fraction that is right, and a note where it is named so but is none."""
    if not all("/acc/" in key for key in metric_keys):
        return False, []
    values = np.concatenate([curve.accuracy_E for members in curves.values() for curve in members])
    if ((values >= 0) & (values <= 1)).all():
        return True, []
    return False, [
        f"the accuracy has values from {values.min():g} to {values.max():g}: it is not shown as a percentage."
    ]


def common_metric_keys(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the metrics that are the accuracy of all runs.

    Raises:
        RunError: two runs were validated on different data.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.metric_keys != first.metric_keys:
            raise RunError(
                f"{first.path} was validated on {list(first.metric_keys)} but {run.path} on {list(run.metric_keys)}; "
                "their accuracies cannot be compared. Name one key that all of them have with --metric.",
                key=str(first.path),
                reason="excluded",
            )
    return first.metric_keys
