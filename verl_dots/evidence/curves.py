"""Validation curves of runs, at the validations that are compared, smoothed or not. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from verl_dots.evidence.methods import BASELINE
from verl_dots.evidence.records import ACCURACY_RUN, RUN_KEY, Evidence, EvidenceError
from verl_dots.reporting import validated_steps
from verl_dots.reporting.validation_curves import SMOOTHING_WINDOW, smooth

DEFAULT_SMOOTHING = "trailing"
# trailing: mean of an evaluation and the two before it, or of those that there are. monotone: the rising curve that is
# nearest in squares; it is never late, and it never falls, so what is reached is kept.
SMOOTHINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda accuracy_E: accuracy_E,
    "trailing": smooth,
    "monotone": lambda accuracy_E: isotonic_regression(accuracy_E).x,
}
# What a reader of a figure is told.
SMOOTHING_TOLD = {
    "none": "validations as measured",
    "trailing": f"trailing means of {SMOOTHING_WINDOW} validations",
    "monotone": "rising curves nearest to the validations",
}


def at_common_steps(
    steps: pd.DataFrame, baseline: str, smoothing: str = DEFAULT_SMOOTHING
) -> tuple[pd.DataFrame, list[str]]:
    """Return rows of runs with the accuracy where runs are compared, nan elsewhere, and notes where that is not all.

    What a smoothed curve says depends on where it was measured: a mean of three validations lags further behind where
    they are further apart. So runs of a combination and seed are smoothed at the validations that they share; those
    that share too few with the baseline's are left out. Without smoothing all validations count.

    Args:
        steps: of accuracy runs, as in `Evidence.steps`, of an index without repeats.
    """
    kept: dict[tuple, set[float]] = {}
    out, notes = set(), []
    validated = steps.dropna(subset=["accuracy"]) if smoothing != "none" else steps[:0]
    for (combination, seed), rows in validated.groupby(["combination", "seed"], sort=False):
        own = {method: set(of["step"]) for method, of in rows.groupby("method", sort=False)}
        if baseline not in own:
            continue
        common = _shared(own, baseline)
        kept |= {(combination, method, seed): at for method, at in common.items()}
        out |= {(combination, method, seed) for method in own.keys() - common.keys()}
        notes += _told(f"{combination}, seed {seed}", own, common, baseline)
    runs = list(zip(*(steps[name] for name in ("combination", "method", "seed")), strict=True))
    counts = [run not in kept or step in kept[run] for run, step in zip(runs, steps["step"], strict=True)]
    compared = steps.assign(accuracy=steps["accuracy"].where(np.array(counts, dtype=bool)))
    return compared[[run not in out for run in runs]], notes


def _shared(own: Mapping[str, set[float]], baseline: str) -> dict[str, set[float]]:
    """Of each method that is compared with the baseline the steps that count."""
    kept = {baseline: own[baseline]}
    for method in own:
        there = {**kept, method: own[method]}
        kept = kept if validated_steps.common_steps(there) is None else there
    return validated_steps.common_steps(kept)


def _told(where: str, own: Mapping[str, set[float]], common: Mapping[str, set[float]], baseline: str) -> Iterator[str]:
    """What of the validations of a combination and seed does not count, and whose."""
    if any(common[method] != own[method] for method in common):
        counts = ", ".join(f"{method} {len(own[method])}" for method in common)
        yield f"{where}: runs were validated at different steps ({counts} of them): only what all share is compared."
    for method in (name for name in own if name not in common):
        shared = f"{len(own[method] & own[baseline])} of {len(own[method])} validations with {baseline}"
        yield f"{where}: {method} is left out: it shares {shared}; train both with one trainer.test_freq."


def smoothed(steps: pd.DataFrame, smoothing: str = DEFAULT_SMOOTHING) -> pd.DataFrame:
    """Return the rows of a run that have an accuracy, ascending in step, with the accuracy smoothed.

    Args:
        steps: of one run, as in `Evidence.steps`.
        smoothing: of `SMOOTHINGS`.

    Raises:
        EvidenceError: an unknown smoothing.
    """
    if smoothing not in SMOOTHINGS:
        text = f"--smoothing={smoothing}: must be one of {', '.join(SMOOTHINGS)}."
        raise EvidenceError(text, key="--smoothing", reason="unknown")
    rows = steps.dropna(subset=["accuracy"]).sort_values("step")
    accuracy_E = SMOOTHINGS[smoothing](rows["accuracy"].to_numpy(float)) if len(rows) else rows["accuracy"]
    return rows.assign(accuracy=accuracy_E)


def with_smoothed(steps: pd.DataFrame, smoothing: str) -> pd.DataFrame:
    """Return the rows of runs, with the accuracy of each run smoothed, and nan where it was nan.

    Args:
        steps: as in `Evidence.steps`, of an index without repeats.
    """
    runs = steps.groupby(list(RUN_KEY), sort=False)
    return steps.assign(accuracy=pd.concat([smoothed(rows, smoothing)["accuracy"] for _, rows in runs]))


def smoothed_curves(evidence: Evidence, smoothing: str = DEFAULT_SMOOTHING) -> pd.DataFrame:
    """Return the smoothed rows of the accuracy runs that are compared, with the columns of `Evidence.steps`."""
    steps, _ = at_common_steps(evidence.steps[evidence.steps["kind"] == ACCURACY_RUN], BASELINE, smoothing)
    runs = steps.groupby(list(RUN_KEY), sort=False)
    return pd.concat([smoothed(rows, smoothing) for _, rows in runs], ignore_index=True)
