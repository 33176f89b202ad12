"""Claims of what a method saves or gains, held against the measured figures: met, missed, or not measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from verl_dots.evidence.cells import Cell, Column, Figure, Missing, Section, Table, Why
from verl_dots.evidence.measures import OVERALL
from verl_dots.files import read_yaml
from verl_dots.settings import ConfigError, Settings

MET, MISSED, NOT_MEASURED = "met", "missed", "not measured"
UNITS = {"percent": "%", "points": "points"}


@dataclass(frozen=True)
class Claim(Settings):
    """A figure of a method that is said to be at least so large.

    Attributes:
        claim: for a reader.
        measure: a column of `measures`, a share.
        at_least: the target, a share.
        source: whose claim it is.
        combination: by default the mean of combinations.
        unit: "percent", or "points" of accuracy.

    Raises:
        ConfigError: an unknown unit.
    """

    claim: str
    method: str
    measure: str
    at_least: float
    source: str
    combination: str = OVERALL
    unit: str = "percent"

    def __post_init__(self):
        if self.unit not in UNITS:
            text = f"claim {self.claim!r}: unit is {self.unit!r}; give one of {', '.join(UNITS)}"
            raise ConfigError(text, key="unit", reason="choice")


def read_claims(file: Path) -> list[Claim]:
    """The claims of a YAML file, in its order. Raises Refusal where it cannot be read, or holds something else."""
    found = read_yaml(file, list, "recipes/evidence/claims.yaml shows what it holds")
    if not all(isinstance(given, dict) for given in found):
        raise ConfigError(f"--claims {file}: each claim must be a group", key="--claims", reason="type")
    return [Claim.from_mapping(given, f"{file}[{place}]") for place, given in enumerate(found)]


def verdict(claim: Claim, summary: pd.DataFrame) -> tuple[str, Cell]:
    """What became of a claim, and the measured figure.

    A claim is met if the mean is at least the target. Where some seeds have no value, because they never came to the
    baseline's accuracy, it is missed. A saving of time is not measured where all came there, and steps were not timed.
    """
    of = (summary.combination == claim.combination) & (summary.method == claim.method)
    rows = summary[of & (summary.measure == claim.measure)]
    if rows.empty:
        return NOT_MEASURED, Missing(Why.NOT_RUN)
    row = rows.iloc[0]
    if not math.isfinite(row["mean"]) and row.reached == row.seeds:
        return NOT_MEASURED, Missing(Why.NOT_RUN, "on every combination")
    if not math.isfinite(row["mean"]):
        if not row.reached:
            if (steps := _steps_of(claim.measure, summary[of])) is not None and steps.reached:
                return _came_there(steps)
            never = claim.measure.startswith("saved_") and claim.measure != "saved_per_step"
            return (MISSED, Missing(Why.NOT_REACHED)) if never else (NOT_MEASURED, Missing(Why.NOT_RECORDED))
        return _came_there(row)
    mean, low, high = (100 * float(row[end]) for end in ("mean", "low", "high"))
    with_interval = math.isfinite(low) and math.isfinite(high)
    cell = Figure(mean, *((low, high) if with_interval else (None, None)), seeds=int(row.seeds))
    return (MET if row["mean"] >= claim.at_least else MISSED), cell


def _steps_of(measure: str, summary: pd.DataFrame) -> pd.Series | None:
    """The steps saved on the way to which a saving of time is; None of another measure."""
    rows = summary[summary.measure == measure.replace("saved_time_", "saved_steps_")]
    return None if rows.empty or not measure.startswith("saved_time_") else rows.iloc[0]


def _came_there(row: pd.Series) -> tuple[str, Cell]:
    """Of a saving that has no mean: some runs, or all, came to the baseline's accuracy."""
    if row.reached == row.seeds:
        return NOT_MEASURED, Missing(Why.NOT_RECORDED)
    return MISSED, Missing(Why.NOT_REACHED, f"{int(row.reached)} of {int(row.seeds)} runs reach the accuracy")


def claims_table(claims: Sequence[Claim], summary: pd.DataFrame) -> Table:
    """Each claim with its target, what was measured, and whether that meets it."""
    rows = []
    for claim in claims:
        word, measured = verdict(claim, summary)
        target = f"{100 * claim.at_least:g} {UNITS[claim.unit]}"
        rows.append((claim.claim, claim.source, target, measured, word))
    columns = (Column("claim"), Column("of"), Column("at least"), Column("measured", "%", digits=1), Column("verdict"))
    notes = (
        "Met: the measured mean is at least the target. Intervals: 95 %, over seeds.",
        "The papers' figures are of other models, data and machines; the same method is held against them here.",
    )
    return Table("claims", "Claims, met and missed", columns, (Section("", tuple(rows)),), notes)
