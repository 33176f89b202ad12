"""Make the tables of `measures` from evidence. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from verl_dots.evidence import measures
from verl_dots.evidence.combinations import without_baseline
from verl_dots.evidence.curves import DEFAULT_SMOOTHING, at_common_steps, smoothed
from verl_dots.evidence.measures import (
    HOLDS,
    KEY,
    PART,
    SHARES,
    bound_of,
    came_column,
    cost_column,
    ratio_column,
    saved_column,
    target_column,
)
from verl_dots.evidence.methods import BASELINE
from verl_dots.evidence.records import ACCURACY_RUN, RUN_KEY, Evidence, EvidenceError
from verl_dots.evidence.step_time import StepTime, commits_notes, not_compared, step_time
from verl_dots.evidence.summarise import summarise
from verl_dots.evidence.totals import require_totals
from verl_dots.reporting import metric_means
from verl_dots.reporting.validation_curves import crossing

Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """The tables of `measures`.

    Attributes:
        notes: what they leave out.
        smoothing: how validations were smoothed, of `curves.SMOOTHINGS`: tables and figures of them do the same.
        apart: combinations that the mean of combinations leaves out.
        baseline: the method that all are compared with.
    """

    by_seed: pd.DataFrame
    summary: pd.DataFrame
    rounds: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(measures.ROUND_COLUMNS)))
    notes: tuple[str, ...] = ()
    smoothing: str = DEFAULT_SMOOTHING
    apart: Collection[str] = ()
    baseline: str = BASELINE


def measure(
    evidence: Evidence,
    baseline: str = BASELINE,
    smoothing: str = DEFAULT_SMOOTHING,
    tolerance: float = 0.0,
    stand_in: bool = True,
    apart: Collection[str] = (),
) -> Measured:
    """Return the measures of all accuracy runs, each against the baseline's of its combination and seed.

    Args:
        smoothing: of `curves.SMOOTHINGS`.
        tolerance: how far below the target an accuracy that is kept may fall later; at least 0.
        stand_in: whether accuracy runs tell the time of a step where there are no timing runs. They do so only if
            nothing else ran beside them.
        apart: combinations that the mean of combinations leaves out.

    Raises:
        EvidenceError: no combination with runs of the baseline, an unknown smoothing, or a tolerance below 0.
        ArithmeticError: savings that do not make up their total.
    """
    if not tolerance >= 0:
        raise EvidenceError(f"--tolerance={tolerance}: must be at least 0.", key="--tolerance", reason="range")
    runs = evidence.runs[evidence.runs["kind"] == ACCURACY_RUN]
    lacking = without_baseline(evidence, baseline)
    left_out = _require_baseline(runs, lacking, baseline)
    runs = runs[~runs["combination"].isin(lacking)]
    steps = evidence.steps[evidence.steps["kind"] == ACCURACY_RUN]
    untrained = steps[steps["step"] == 0].groupby(list(KEY))["accuracy"].last().dropna()
    steps, told = at_common_steps(steps, baseline, smoothing)
    curves = {key[:3]: smoothed(rows, smoothing) for key, rows in steps.groupby(list(RUN_KEY), sort=False)}
    rows, notes, timed, pairs = [], [*left_out, *told], {}, {}
    for key in runs[list(KEY)].itertuples(index=False, name=None):
        combination, method, seed = key
        base = (combination, baseline, seed)
        if base not in curves:
            notes.append(f"{combination}: {method}, seed {seed}, is left out: {baseline} has no run of that seed.")
            continue
        if key not in curves:
            continue  # which `told` says
        row = dict(zip(KEY, key, strict=True)) | {"baseline": baseline}
        firsts = [_first(curves[one], untrained.get(one)) for one in (key, base)]
        row |= _whole_run(evidence.run(*key, ACCURACY_RUN), curves[key], curves[base], firsts)
        row |= _costs(curves[key], row, tolerance)
        time = step_time(evidence, *key, baseline, stand_in)
        timed[key[:2]], pairs[key] = time.rounds, time.pairs
        notes += [note for note in time.notes if note not in notes]
        one_clock = stand_in and not not_compared(evidence, combination, method, baseline, seed, ACCURACY_RUN)
        ends = {cost: float(curves[key][_column(cost)].iloc[-1]) for cost in measures.COSTS}
        rows.append(row | _savings(row, ends, _costs(curves[base], row, tolerance), time, one_clock) | _times(time))
    by_seed = pd.DataFrame(rows)
    parts = sorted(name for name in by_seed.columns if name.startswith(PART))
    by_seed = by_seed[[*(name for name in by_seed.columns if name not in parts), *parts]]
    require_totals(by_seed, pairs)
    lines = [(*key, number, ratio) for key, ratios in timed.items() for number, ratio in ratios.items()]
    rounds = pd.DataFrame(lines, columns=list(measures.ROUND_COLUMNS))
    notes += commits_notes(evidence, rounds[rounds["method"] != baseline])
    return Measured(by_seed, summarise(by_seed, rounds, apart), rounds, tuple(notes), smoothing, apart, baseline)


def _require_baseline(runs: pd.DataFrame, lacking: Sequence[str], baseline: str) -> list[str]:
    """What is told of combinations without a run of the baseline; an error where none has one, or there is no run."""
    if runs.empty:
        text = "there is no run for accuracy: name a folder with COMBINATION/RUN, beside the timing runs in it."
        raise EvidenceError(text, key="root", reason="missing")
    methods = {name: ", ".join(dict.fromkeys(runs["method"][runs["combination"] == name])) for name in lacking}
    told = [f"{name} has no run of the baseline {baseline}. It has {has}." for name, has in methods.items()]
    if len(told) == runs["combination"].nunique():
        text = f"{' '.join(told)} Name one of these with --baseline."
        raise EvidenceError(text, key="--baseline", reason="missing")
    return told


def _first(curve: pd.DataFrame, untrained: float | None) -> float:
    """The first accuracy of a run: of its curve, or before training where the curve begins later; nan without any."""
    if untrained is not None and (curve.empty or curve["step"].iloc[0] > 0):
        return float(untrained)
    return float(curve["accuracy"].iloc[0]) if len(curve) else math.nan


def _whole_run(steps: pd.DataFrame, curve: pd.DataFrame, base: pd.DataFrame, firsts: Sequence[float]) -> Row:
    """What a run came to, and the accuracies that it is to reach.

    Args:
        firsts: accuracy before training, of the run and of the baseline's, also where another run was not validated
            then; without it at the first validation.
    """
    if curve.empty or base.empty:
        key = "/".join(str(steps[name].iloc[0]) for name in RUN_KEY)
        text = f"{key}, or its baseline, has no validation: it cannot be compared."
        raise EvidenceError(text, key=key, reason="data")
    first, final = firsts[0], float(curve["accuracy"].iloc[-1])
    of_base = firsts[1], float(base["accuracy"].iloc[-1])
    climbs = of_base[1] > of_base[0]
    targets = {share: target_at(*of_base, share) for share in SHARES}
    rhos = [metric_means.mean_of(steps, key) for key in measures.RHO]
    return {
        **{cost: float(steps[_column(cost)].iloc[-1]) for cost in measures.COSTS},
        "first_accuracy": first,
        "final_accuracy": final,
        "gain": final - first,
        "difference": final - of_base[1],
        "difference_at_tokens": _ahead_at_equal_tokens(curve, base),
        **{target_column(share): target if climbs else math.nan for share, target in targets.items()},
        **{name: metric_means.mean_of(steps, key) for name, key in measures.OUTCOMES.items()},
        "updated_rows": 1 - metric_means.mean_of(steps, measures.FILTERED),
        "rho": next((mean for mean in rhos if not math.isnan(mean)), math.nan),
    }


def _ahead_at_equal_tokens(curve: pd.DataFrame, base: pd.DataFrame) -> float:
    """Accuracy above the baseline's once both have generated as many tokens as the one that generates fewer."""
    tokens_E, of_base_E = (of["generated_tokens"].to_numpy(float) for of in (curve, base))
    end = np.minimum(tokens_E[-1], of_base_E[-1])  # nan where one is not recorded
    own, of_base = (
        np.interp(end, one_E, of["accuracy"], left=np.nan) for one_E, of in ((tokens_E, curve), (of_base_E, base))
    )
    return float(own - of_base)


def target_at(first: float, final: float, share: int) -> float:
    """The accuracy at `share` % of a gain; of all of it the end itself, for a sum may be above it by rounding."""
    return final if share == 100 else first + share / 100 * (final - first)


def _costs(curve: pd.DataFrame, targets: Row, tolerance: float) -> Row:
    """What it cost to come to each target."""
    found = {}
    accuracy_E = curve["accuracy"].to_numpy(float)
    for share in SHARES:
        for hold in HOLDS:
            place = crossing(accuracy_E, targets[target_column(share)], hold == "kept", tolerance)
            found[came_column(share, hold)] = math.nan if place is None else 1.0
            unknown = place is None or place.after == 0
            for cost in measures.COSTS:
                value = math.nan if unknown else place.of(curve[_column(cost)].to_numpy(float))
                found[cost_column(cost, share, hold)] = value
    return found


def _savings(own: Row, ends: Row, base: Row, time: StepTime, one_clock: bool) -> Row:
    """Shares of the baseline's costs that are saved on the way to each target, and at most.

    Args:
        ends: what the run had cost at its last validation: later it may have come there, and nobody looked.
        one_clock: whether seconds of both accuracy runs may be compared.
    """
    found = {"saved_per_step": 1 - time.ratio}
    for share in SHARES:
        for hold in HOLDS:
            ratios, least = {}, {}
            never = math.isnan(own[came_column(share, hold)])
            for what, cost in measures.SAVED.items():
                column = cost_column(cost, share, hold)
                known = base[column] > 0 and (one_clock or cost != "train_seconds")
                of_base = base[column] if known else math.nan
                ratios[what] = own[column] / of_base
                least[what] = ends[cost] / of_base if never else ratios[what]
                found[saved_column(what, share, hold)] = 1 - ratios[what]
                found[bound_of(saved_column(what, share, hold))] = 1 - least[what]
            found[bound_of(saved_column("time", share, hold))] = 1 - least["steps"] * time.ratio
            found[ratio_column(share, hold)] = ratios["steps"] * time.ratio
            found[saved_column("time", share, hold)] = 1 - ratios["steps"] * time.ratio
    return found


def _times(time: StepTime) -> Row:
    return {
        "step_seconds": time.seconds,
        "step_ratio": time.ratio,
        "step_source": time.source,
        **{f"{PART}{part}": seconds for part, seconds in time.parts.items()},
    }


def _column(cost: str) -> str:
    """The column of `Evidence.steps` that tells a cost."""
    return "step" if cost == "steps" else cost
