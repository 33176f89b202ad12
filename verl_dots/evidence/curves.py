"""Validation curves of runs, smoothed or not. Pure functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from verl_dots.evidence.records import ACCURACY_RUN, RUN_KEY, Evidence, EvidenceError
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
    """Return the smoothed rows of all accuracy runs, with the columns of `Evidence.steps`."""
    steps = evidence.steps[evidence.steps["kind"] == ACCURACY_RUN]
    runs = steps.groupby(list(RUN_KEY), sort=False)
    return pd.concat([smoothed(rows, smoothing) for _, rows in runs], ignore_index=True)
