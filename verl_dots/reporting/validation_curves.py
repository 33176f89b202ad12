"""Validation curves of runs: smoothing, the first reach of an accuracy, what is saved on the way. Pure functions.

Axis suffix: `_E` validations (rows with validation) of a run. Accuracies are as logged, normally
fractions in [0, 1]. Shares saved are fractions too: 0.25 means a quarter less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SMOOTHING_WINDOW = 3
# With fewer validations a trailing mean would mostly show how late it is.
LEAST_VALIDATIONS_TO_SMOOTH = 9
ROUNDED = 2e-6  # accuracies are kept to six decimals: equal means of them may be so far apart


@dataclass(frozen=True)
class Curve:
    """A validation curve: arrays of shape (E,), ascending in `step_E`; costs are cumulative.

    `wall_seconds_E` counts everything since training began, validation included;
    `train_seconds_E` the training steps alone; `tokens_E` the response tokens generated for
    training. Costs that were not recorded are NaN.
    """

    step_E: np.ndarray
    wall_seconds_E: np.ndarray
    train_seconds_E: np.ndarray
    tokens_E: np.ndarray
    accuracy_E: np.ndarray


@dataclass(frozen=True)
class Crossing:
    """A place between two validations, of numbers `before` and `after`: after `share` of the way."""

    before: int
    after: int
    share: float

    def of(self, cost_E: np.ndarray) -> float:
        """What a cost, given at all validations, is there."""
        return float(cost_E[self.before] + self.share * (cost_E[self.after] - cost_E[self.before]))


@dataclass(frozen=True)
class Reach:
    """Where a curve first reaches an accuracy, interpolated between validations."""

    steps: float
    wall_seconds: float
    train_seconds: float
    tokens: float


@dataclass(frozen=True)
class Savings:
    """Shares of the baseline's cost saved; negative where the method costs more.

    `seconds_per_step` and `total` are of train time: (1 - total) = (1 - steps) * (1 - seconds_per_step). `wall` is of
    wall time. A share is NaN where it is undefined (the accuracy was there before the first step), its cost was not
    recorded, or it cannot be compared.
    """

    steps: float
    seconds_per_step: float
    total: float
    wall: float
    tokens: float


def validation_curve(rows: pd.DataFrame, metric_keys: Sequence[str]) -> Curve:
    """Return the mean of the columns `metric_keys` in the rows in which all of them have a value.

    Raises:
        ValueError: no row has them all.
    """
    rows = rows.dropna(subset=list(metric_keys))
    if rows.empty:
        raise ValueError(f"no row has all of {list(metric_keys)}; choose one of them as the metric.")
    return Curve(
        step_E=rows["step"].to_numpy(float),
        wall_seconds_E=rows["wall_seconds"].to_numpy(float),
        train_seconds_E=rows["train_seconds"].to_numpy(float),
        tokens_E=rows["generated_tokens"].to_numpy(float),
        accuracy_E=rows[list(metric_keys)].mean(axis=1).to_numpy(float),
    )


def smooth(values_E: np.ndarray, window: int = SMOOTHING_WINDOW) -> np.ndarray:
    """Return the trailing moving average: the mean of each value and the `window - 1` before it.

    Fewer are averaged where fewer exist, so the first value stays as it is and the last is
    the mean of the last `window`. Trailing, so that no point uses a validation after it.
    """
    if window < 1:
        raise ValueError(f"window is {window}; it must be at least 1 validation.")
    values_E = np.asarray(values_E, dtype=float)
    return np.array([values_E[max(0, end - window) : end].mean() for end in range(1, len(values_E) + 1)])


def default_window(validations: int) -> int:
    """Return how many validations to smooth over: 3, or 1 (none) where a run has fewer than 9."""
    return SMOOTHING_WINDOW if validations >= LEAST_VALIDATIONS_TO_SMOOTH else 1


def smooth_curve(curve: Curve, window: int = SMOOTHING_WINDOW) -> Curve:
    """Return `curve` with its accuracy smoothed."""
    return Curve(
        curve.step_E, curve.wall_seconds_E, curve.train_seconds_E, curve.tokens_E, smooth(curve.accuracy_E, window)
    )


def align(curves: Sequence[Curve]) -> list[Curve]:
    """Return the curves cut to the steps at which all of them were validated.

    Raises:
        ValueError: there is no such step.
    """
    common = sorted(set.intersection(*(set(curve.step_E.tolist()) for curve in curves)))
    if not common:
        raise ValueError("the runs share no validation step; were they run with different trainer.test_freq?")
    return [at_steps(curve, common) for curve in curves]


def at_steps(curve: Curve, steps: Iterable[float]) -> Curve:
    """Return `curve` at some of the steps at which it was validated."""
    at = np.searchsorted(curve.step_E, sorted(steps))
    arrays = (curve.step_E, curve.wall_seconds_E, curve.train_seconds_E, curve.tokens_E, curve.accuracy_E)
    return Curve(*(values[at] for values in arrays))


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean over seeds of accuracy and costs, at the steps all seeds share (see `align`)."""
    aligned = align(curves)
    return Curve(
        step_E=aligned[0].step_E,
        wall_seconds_E=np.mean([curve.wall_seconds_E for curve in aligned], axis=0),
        train_seconds_E=np.mean([curve.train_seconds_E for curve in aligned], axis=0),
        tokens_E=np.mean([curve.tokens_E for curve in aligned], axis=0),
        accuracy_E=np.mean([curve.accuracy_E for curve in aligned], axis=0),
    )


def crossing(accuracy_E: np.ndarray, target: float, kept: bool = False, tolerance: float = 0.0) -> Crossing | None:
    """Return where accuracies come to a target; None if they never do.

    It is the first validation of at least `target`, but for `ROUNDED`. With `kept` it is the first such validation
    after which no later one is below `target - tolerance`. The validation before it is below the target in both cases,
    so between the two accuracy and costs are taken as linear.

    Args:
        tolerance: at least 0; with 0 any later fall below the target ends what was reached.
    """
    above_E = accuracy_E >= target - ROUNDED
    if kept:
        least_after_E = np.append(np.minimum.accumulate(accuracy_E[:0:-1])[::-1], np.inf)
        above_E = above_E & (least_after_E >= target - tolerance - ROUNDED)
    if not above_E.any():
        return None
    after = int(np.flatnonzero(above_E)[0])
    if after == 0:
        return Crossing(0, 0, 0.0)
    before = after - 1
    way = (target - accuracy_E[before]) / (accuracy_E[after] - accuracy_E[before])
    return Crossing(before, after, min(way, 1.0))


def first_reach(curve: Curve, target: float) -> Reach | None:
    """Return where `curve` first has an accuracy of at least `target`, see `crossing`; None if it never has.

    A later fall below the target does not matter.
    """
    found = crossing(curve.accuracy_E, target)
    if found is None:
        return None
    costs = (curve.step_E, curve.wall_seconds_E, curve.train_seconds_E, curve.tokens_E)
    return Reach(*(found.of(cost_E) for cost_E in costs))


def accuracy_at(curve: Curve, train_seconds: float) -> tuple[float, bool]:
    """Return the accuracy after some training time, and whether the last validation was before; nan if unknown.

    Linear between validations; after the last one its accuracy stands, before the first one nothing is known.
    """
    if np.isnan(curve.train_seconds_E).any() or train_seconds < curve.train_seconds_E[0]:
        return math.nan, False
    ended = bool(curve.train_seconds_E[-1] < train_seconds)
    return float(np.interp(train_seconds, curve.train_seconds_E, curve.accuracy_E)), ended


def savings(method: Reach | None, baseline: Reach | None) -> Savings | None:
    """Return what `method` saves on the way to the same accuracy; None if either never gets there.

    Steps, training seconds per step and training seconds in total (validation excluded: how
    often to validate is the experimenter's choice), wall time, and generated tokens.
    """
    if method is None or baseline is None:
        return None
    return Savings(
        steps=_share_saved(method.steps, baseline.steps),
        seconds_per_step=_share_saved(
            _ratio(method.train_seconds, method.steps), _ratio(baseline.train_seconds, baseline.steps)
        ),
        total=_share_saved(method.train_seconds, baseline.train_seconds),
        wall=_share_saved(method.wall_seconds, baseline.wall_seconds),
        tokens=_share_saved(method.tokens, baseline.tokens),
    )


def _ratio(cost: float, steps: float) -> float:
    return cost / steps if steps > 0 else math.nan


def _share_saved(method: float, baseline: float) -> float:
    return 1.0 - method / baseline if baseline > 0 else math.nan
