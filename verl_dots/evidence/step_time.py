"""Seconds of a training step, and how many times the baseline's they are. Pure functions.

Times are compared within a round, on one machine and of one commit alone: timing runs of one seed ran one after the
other, and accuracy runs of one seed are the nearest to that where a method was not timed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN, Evidence
from verl_dots.evidence.sittings import MOST_IDLE_SECONDS, sittings, span
from verl_dots.reporting import metric_means

COMMIT_DIGITS = 12


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step.

    Attributes:
        seconds, ratio: means over the rounds; the ratio is to the baseline's.
        source: which kind of runs both are of.
        parts: mean seconds by part.
        rounds: the ratio of each round of timing runs; empty of accuracy runs.
        pairs: seconds of the method and of the baseline, of each pair of runs that the means are of.
        notes: which runs are not compared, a sentence each.
    """

    seconds: float
    ratio: float
    source: str
    parts: dict[str, float]
    rounds: Mapping[int, float] = field(default_factory=dict)
    pairs: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()


NOT_TIMED = StepTime(math.nan, math.nan, "", {})


def step_time(
    evidence: Evidence, combination: str, method: str, seed: int, baseline: str, stand_in: bool = True
) -> StepTime:
    """Return the time of a method's step in a run's combination.

    Of timing runs it is the mean over the rounds in which the method's and the baseline's can be compared, see
    `not_compared`: mean of the seconds, and mean of the ratios within each round. It is then the same for all seeds.
    Where there is no such round it is of the accuracy runs of the seed, or NOT_TIMED where these may not `stand_in` or
    cannot be compared.
    """
    of = (evidence, combination, method, baseline)
    both = _seeds(evidence, combination, method) & _seeds(evidence, combination, baseline)
    told = {number: text for number in sorted(both) if (text := not_compared(*of, number, TIMING_RUN))}
    notes = tuple(told.values())
    if rounds := sorted(both - told.keys()):
        return replace(_mean({number: _pair(*of, number) for number in rounds}), notes=notes)
    if not stand_in:
        return replace(NOT_TIMED, notes=notes)
    if text := not_compared(*of, seed, ACCURACY_RUN):
        return replace(NOT_TIMED, notes=(*notes, text))
    alone = _mean({seed: _pair(*of, seed, ACCURACY_RUN)})
    return replace(alone, source=ACCURACY_RUN, rounds={}, notes=notes)


def not_compared(evidence: Evidence, combination: str, method: str, baseline: str, seed: int, kind: str) -> str:
    """Why times of a method's run and of the baseline's make no pair, as a note; empty where they do.

    Both must be of one machine and one commit. Timing runs must be of one sitting, too: in the round of their
    combination runs follow each other with at most `MOST_IDLE_SECONDS` between them (`sittings`). What neither of the
    two tells counts as the same.
    """
    runs = evidence.runs
    mine = runs[(runs["combination"] == combination) & (runs["seed"] == seed) & (runs["kind"] == kind)]
    of, more = mine.set_index("method"), ""
    own, base = of.loc[method], of.loc[baseline]
    if own["machine"] != base["machine"]:
        where, shown = "on one machine", [f"on {one['machine'] or 'one that is not recorded'}" for one in (own, base)]
    elif own["commit"] != base["commit"]:
        commits = [one["commit"][:COMMIT_DIGITS] or "one that is not recorded" for one in (own, base)]
        where, shown = "of one commit", [f"of {commit}" for commit in commits]
    elif kind == TIMING_RUN and not _of_one_sitting(of[of["machine"] == own["machine"]], method, baseline):
        where, more = "of one sitting", f" {MOST_IDLE_SECONDS / 60:.0f} idle minutes end a sitting."
        shown = [f"begun {one['started'] or 'at a time that is not recorded'}" for one in (own, base)]
    else:
        return ""
    number = f"{'round' if kind == TIMING_RUN else 'seed'} {seed}"
    both = " and ".join(f"{name} {text}" for name, text in zip((method, baseline), shown, strict=True))
    return f"{combination}, {number}: times of a step are compared {where} alone, and {both} are left out.{more}"


def commits_notes(evidence: Evidence, rounds: pd.DataFrame) -> list[str]:
    """A sentence for each method whose time of a step is a mean over pairs of timing runs of several commits.

    Args:
        rounds: of `measures`.
    """
    timed = evidence.runs[evidence.runs["kind"] == TIMING_RUN]
    commits = {(run.combination, run.method, run.seed): run.commit[:COMMIT_DIGITS] for run in timed.itertuples()}
    notes = []
    for method, of in rounds.groupby("method", sort=False):
        counts = Counter(commits[row.combination, method, row.round] for row in of.itertuples())
        if len(counts) > 1:
            told = ", ".join(f"{count} of {commit or 'one not recorded'}" for commit, count in sorted(counts.items()))
            notes.append(f"{method}: pairs of timing runs are of several commits, {told}. The mean is of all alike.")
    return notes


def _seeds(evidence: Evidence, combination: str, method: str) -> set[int]:
    runs = evidence.runs
    of = (runs["combination"] == combination) & (runs["method"] == method) & (runs["kind"] == TIMING_RUN)
    return set(runs["seed"][of].tolist())


def _of_one_sitting(runs: pd.DataFrame, method: str, baseline: str) -> bool:
    """Whether two of the timing runs of a round on one machine, by method, ran one after the other."""
    spans = {run.Index: span(run.started, run.finished) for run in runs.itertuples()}
    if spans[method] is None or spans[baseline] is None:
        return spans[method] is spans[baseline]
    return any({method, baseline} <= one for one in sittings({name: of for name, of in spans.items() if of}))


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
        pairs=tuple(seconds.values()),
    )
