"""Seconds of a training step, and how many times the baseline's they are. Pure functions.

Times are compared within a round alone: timing runs of one seed ran one after the other, and accuracy runs of one seed
are the nearest to that where a method was not timed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN, Evidence
from verl_dots.reporting import metric_means


@dataclass(frozen=True)
class StepTime:
    """Mean seconds of a step, their ratio to the baseline's, which kind of runs both are of, and seconds by part."""

    seconds: float
    ratio: float
    source: str
    parts: dict[str, float]


NOT_TIMED = StepTime(math.nan, math.nan, "", {})


def step_time(
    evidence: Evidence, combination: str, method: str, seed: int, baseline: str, stand_in: bool = True
) -> StepTime:
    """Return the time of a method's step in a run's combination.

    Of timing runs it is the mean over the rounds in which both the method and the baseline ran: mean of the seconds,
    and mean of the ratios within each round. It is then the same for all seeds. Where there is no such round it is of
    the accuracy runs of the seed, or NOT_TIMED where these may not `stand_in`.
    """
    rounds = _seeds(evidence, combination, method) & _seeds(evidence, combination, baseline)
    if rounds:
        pairs = [
            [evidence.run(combination, name, number, TIMING_RUN) for name in (method, baseline)]
            for number in sorted(rounds)
        ]
        return _mean(pairs, TIMING_RUN)
    if not stand_in:
        return NOT_TIMED
    return _mean([[evidence.run(combination, name, seed, ACCURACY_RUN) for name in (method, baseline)]], ACCURACY_RUN)


def _seeds(evidence: Evidence, combination: str, method: str) -> set[int]:
    runs = evidence.runs
    of = (runs["combination"] == combination) & (runs["method"] == method) & (runs["kind"] == TIMING_RUN)
    return set(runs["seed"][of].tolist())


def _mean(pairs: Sequence[Sequence[pd.DataFrame]], source: str) -> StepTime:
    """Mean over pairs of a method's rows and the baseline's."""
    seconds = [[metric_means.seconds_per_step(rows) for rows in pair] for pair in pairs]
    ratios = [own / base if base > 0 else math.nan for own, base in seconds]
    parts = [metric_means.seconds_by_phase(own.dropna(axis="columns", how="all")) for own, _ in pairs]
    names = dict.fromkeys(name for one in parts for name in one)
    return StepTime(
        seconds=sum(own for own, _ in seconds) / len(pairs),
        ratio=sum(ratios) / len(pairs),
        source=source,
        parts={name: sum(one.get(name, 0.0) for one in parts) / len(pairs) for name in names},
    )
