"""Figures over seeds: a mean and its 95 % interval by Student's t."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from verl_dots.evidence.cells import Figure

CONFIDENCE = 0.95


def mean_figure(values: Sequence[float]) -> Figure:
    """The mean of one value a seed; of a single seed there is no interval."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Figure(mean, seeds=count)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Figure(mean, mean - half, mean + half, seeds=count)
