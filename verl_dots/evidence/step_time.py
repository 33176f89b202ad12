"""Seconds of a training step, and how many times the baseline's they are. Pure functions.

Times are compared within a round and on one machine alone: timing runs of one seed ran one after the other, and
accuracy runs of one seed are the nearest to that where a method was not timed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN, Evidence
from verl_dots.reporting import metric_means


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step.

    Attributes:
        seconds, ratio: means over the rounds; the ratio is to the baseline's.
        source: which kind of runs both are of.
        parts: mean seconds by part.
        rounds: the ratio of each round of timing runs; empty of accuracy runs.
        notes: which runs are not compared, a sentence each.
    """

    seconds: float
    ratio: float
    source: str
    parts: dict[str, float]
    rounds: Mapping[int, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


NOT_TIMED = StepTime(math.nan, math.nan, "", {})


def step_time(
    evidence: Evidence, combination: str, method: str, seed: int, baseline: str, stand_in: bool = True
) -> StepTime:
    """Return the time of a method's step in a run's combination.

    Of timing runs it is the mean over the rounds in which both the method and the baseline ran on one machine: mean of
    the seconds, and mean of the ratios within each round. It is then the same for all seeds. Where there is no such
    round it is of the accuracy runs of the seed, or NOT_TIMED where these may not `stand_in` or are of two machines.
    """
    of = (evidence, combination, method, baseline)
    both = _seeds(evidence, combination, method) & _seeds(evidence, combination, baseline)
    told = {number: text for number in sorted(both) if (text := _two_machines(*of, number, TIMING_RUN))}
    notes = tuple(told.values())
    if rounds := sorted(both - told.keys()):
        return replace(_mean({number: _pair(*of, number) for number in rounds}), notes=notes)
    if not stand_in:
        return replace(NOT_TIMED, notes=notes)
    if text := _two_machines(*of, seed, ACCURACY_RUN):
        return replace(NOT_TIMED, notes=(*notes, text))
    alone = _mean({seed: _pair(*of, seed, ACCURACY_RUN)})
    return replace(alone, source=ACCURACY_RUN, rounds={}, notes=notes)


def _seeds(evidence: Evidence, combination: str, method: str) -> set[int]:
    runs = evidence.runs
    of = (runs["combination"] == combination) & (runs["method"] == method) & (runs["kind"] == TIMING_RUN)
    return set(runs["seed"][of].tolist())


def _two_machines(evidence: Evidence, combination: str, method: str, baseline: str, seed: int, kind: str) -> str:
    """What to tell of a pair of runs of two machines; empty of one machine, and where both do not tell theirs."""
    runs = evidence.runs
    mine = runs[(runs["combination"] == combination) & (runs["seed"] == seed) & (runs["kind"] == kind)]
    machines = mine.set_index("method")["machine"]
    if machines[method] == machines[baseline]:
        return ""
    shown = " and ".join(f"{name} on {machines[name] or 'one that is not recorded'}" for name in (method, baseline))
    number = f"{'round' if kind == TIMING_RUN else 'seed'} {seed}"
    return f"{combination}, {number}: times of a step are compared on one machine alone, and {shown} are left out."


Pair = tuple[pd.DataFrame, pd.DataFrame]


def _pair(evidence: Evidence, combination: str, method: str, baseline: str, seed: int, kind: str = TIMING_RUN) -> Pair:
    """Rows of a method and of the baseline."""
    own, base = (evidence.run(combination, name, seed, kind) for name in (method, baseline))
    return own, base


def _mean(pairs: Mapping[int, Pair]) -> StepTime:
    """Mean over the pairs of rounds."""
    seconds = {number: tuple(map(metric_means.seconds_per_step, pair)) for number, pair in pairs.items()}
    ratios = {number: own / base if base > 0 else math.nan for number, (own, base) in seconds.items()}
    parts = [metric_means.seconds_by_phase(own.dropna(axis="columns", how="all")) for own, _ in pairs.values()]
    names = dict.fromkeys(name for one in parts for name in one)
    return StepTime(
        seconds=sum(own for own, _ in seconds.values()) / len(pairs),
        ratio=sum(ratios.values()) / len(pairs),
        source=TIMING_RUN,
        parts={name: sum(one.get(name, 0.0) for one in parts) / len(pairs) for name in names},
        rounds=ratios,
    )
