"""Claims of what a method saves or gains, held against the measured figures: met, missed, unclear or not measured."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from verl_dots.evidence import against
from verl_dots.evidence.cells import Cell, Column, Figure, Missing, Section, Table, Why
from verl_dots.evidence.measures import OVERALL, bound_of, saved_column, target_of
from verl_dots.evidence.methods import BASELINE, LOOKS
from verl_dots.evidence.summary_cells import at_most, of_time, timed, unknown, whole
from verl_dots.files import read_yaml
from verl_dots.settings import ConfigError, Settings

MET, MISSED, UNCLEAR, NOT_MEASURED = "met", "missed", "unclear", "not measured"
UNITS = {"percent": "%", "points": "points"}
# Where it is told why targets are missed: a document, and sections of it.
CAUSES = "recipes/evidence/README.md"
SECTIONS = ("Why DOTS with replay misses its targets here", "Why E3 and MoPPS train on 80 questions")


@dataclass(frozen=True)
class Claim(Settings):
    """A figure of a method that is said to be at least so large.

    Attributes:
        claim: for a reader.
        measure: a column of `measures`, a share.
        at_least: the target, a share.
        source: whose claim it is.
        combination: by default the mean of combinations, or the only one (`summary_cells.whole`).
        unit: "percent", or "points" of accuracy.
        against: the method that it is compared with; another than the baseline for a `difference` alone.

    Raises:
        ConfigError: an unknown unit, or a measure that is of the baseline alone.
    """

    claim: str
    method: str
    measure: str
    at_least: float
    source: str
    combination: str = OVERALL
    unit: str = "percent"
    against: str = BASELINE

    def __post_init__(self):
        if self.unit not in UNITS:
            text = f"claim {self.claim!r}: unit is {self.unit!r}; give one of {', '.join(UNITS)}"
            raise ConfigError(text, key="unit", reason="choice")
        if self.against != BASELINE and self.measure != against.MEASURE:
            text = f"claim {self.claim!r}: against {self.against} there is {against.MEASURE} alone, not {self.measure}"
            raise ConfigError(text, key="measure", reason="choice")


def read_claims(file: Path) -> list[Claim]:
    """The claims of a YAML file, in its order. Raises Refusal where it cannot be read, or holds something else."""
    found = read_yaml(file, list, "recipes/evidence/claims.yaml shows what it holds")
    if not all(isinstance(given, dict) for given in found):
        raise ConfigError(f"--claims {file}: each claim must be a group", key="--claims", reason="type")
    return [Claim.from_mapping(given, f"{file}[{place}]") for place, given in enumerate(found)]


def require_known(
    claims: Sequence[Claim], summary: pd.DataFrame, methods: Collection[str] = (), combinations: Collection[str] = ()
) -> None:
    """Refuse claims of what there is not: they would look as if it was not run.

    Args:
        summary: of `measures`.
        methods, combinations: those that may be run, beside what was.

    Raises:
        ConfigError: an unknown measure, method or combination.
    """
    of_methods = {*LOOKS, *methods, *summary.method}
    known = {
        "measure": set(summary.measure), "method": of_methods, "against": of_methods,
        "combination": {OVERALL, *combinations, *summary.combination},
    }  # fmt: skip
    for claim in claims:
        for key, names in known.items():
            if (given := getattr(claim, key)) not in names:
                near = ", ".join(difflib.get_close_matches(given, sorted(names), n=3)) or ", ".join(sorted(names)[:12])
                text = f"claim {claim.claim!r}: there is no {key} {given!r}; the nearest of {len(names)}: {near}"
                raise ConfigError(text, key=key, reason="unknown")


def verdict(claim: Claim, summary: pd.DataFrame, overall: str | None = OVERALL) -> tuple[str, Cell]:
    """What became of a claim, and the measured figure.

    Args:
        overall: the combination that stands for all; None where none does.

    A claim is met if the whole interval is at or above the target, and missed if the whole interval is below it. In
    between, and without an interval, it is unclear. Where some runs never came to the baseline's accuracy there is a
    bound, see `measures`: the claim is missed if the whole interval of it is below the target, and otherwise unclear. A
    saving of time is not measured where all came there, and steps were not timed.
    """
    place = _place(claim, overall)
    if place is None:
        return NOT_MEASURED, Missing(Why.NOT_MEASURED, "no combination stands for all")
    mine = summary[(summary.combination == place) & (summary.method == claim.method)]
    row = _row(mine, claim.measure)
    if row is None:
        return NOT_MEASURED, Missing(Why.NOT_RUN)
    if not math.isfinite(row["mean"]):
        return _without_mean(claim, row, mine)
    of = f"{int(row.pairs)} pair{'s' if row.pairs > 1 else ''} of timing runs" if row.pairs else ""
    ends = (100 * float(row[end]) for end in ("mean", "low", "high"))
    cell = Figure.between(*ends, seeds=int(row.seeds), remark=of)
    if row["low"] >= claim.at_least:
        return MET, cell
    return (MISSED if row["high"] < claim.at_least else UNCLEAR), cell  # nan is neither


def _without_mean(claim: Claim, row: pd.Series, mine: pd.DataFrame) -> tuple[str, Cell]:
    """Of a measure that some runs have no value of. `mine`: all measures of the method."""
    if row.reached == row.seeds:
        return NOT_MEASURED, Missing(Why.NOT_RUN, "on every combination")
    target = target_of(claim.measure)
    if target is None:
        some = f"{int(row.reached)} of {int(row.seeds)} runs" if row.reached else ""
        return NOT_MEASURED, Missing(Why.NOT_MEASURED if some else Why.NOT_RECORDED, some)
    if (why := unknown(mine, *target)) is not None:
        return NOT_MEASURED, why
    steps = _row(mine, saved_column("steps", *target))
    came = row if steps is None else steps  # which tell whether a run came there, also where its cost is not known
    if came.reached == came.seeds:
        return NOT_MEASURED, Missing(Why.NOT_RECORDED)
    told = f"{int(came.reached)} of {int(came.seeds)} runs reach the accuracy"
    bound = _row(mine, bound_of(claim.measure))
    if (cell := at_most(bound, told)) is not None:
        return (MISSED if bound["high"] < claim.at_least else UNCLEAR), cell  # of nan it is unclear
    if claim.measure.startswith("saved_time_"):
        told += ", not timed"
    return UNCLEAR, Missing(Why.NOT_REACHED, told)


def _place(claim: Claim, overall: str | None) -> str | None:
    """The combination of which a claim is."""
    return overall if claim.combination == OVERALL else claim.combination


def _row(mine: pd.DataFrame, measure: str) -> pd.Series | None:
    rows = mine[mine.measure == measure]
    return None if rows.empty else rows.iloc[0]


def claims_table(
    claims: Sequence[Claim],
    summary: pd.DataFrame,
    others: Mapping[str, pd.DataFrame] | None = None,
    by_seed: pd.DataFrame | None = None,
    apart: Collection[str] = (),
    lacking: Sequence[str] = (),
) -> Table:
    """Each claim with its target, what was measured, and whether that meets it.

    Args:
        summary: of `measures`, against the baseline.
        others: method -> the same against it (`against.differences`), of claims that name another than the baseline.
        by_seed: of `measures`; it tells of a figure of seconds whether the steps were timed alone.
        apart: combinations that the mean of combinations leaves out.
        lacking: those without a run of the baseline: without them nothing can be claimed of all.
    """
    rows, overall = [], whole(summary)
    for claim in claims:
        of = summary if claim.against == BASELINE else (others or {})[claim.against]
        word, measured = verdict(claim, of, overall)
        if lacking and claim.combination == OVERALL:
            word, measured = NOT_MEASURED, Missing(Why.NOT_MEASURED, f"no run of {BASELINE} on {', '.join(lacking)}")
        if by_seed is not None and isinstance(measured, Figure) and of_time(claim.measure):
            place = str(_place(claim, overall))
            measured = timed(measured, by_seed, place, claim.method, apart, claim.measure)
        target = f"{100 * claim.at_least:g} {UNITS[claim.unit]}"
        rows.append((claim.claim, claim.source, target, measured, word))
    columns = (Column("claim"), Column("of"), Column("at least"), Column("measured", "%", digits=1), Column("verdict"))
    notes = (
        "Met: the whole interval is at or above the target. Missed: all of it is below. Unclear: it holds the target, "
        "or there is none. Intervals: 95 %, over seeds, and over pairs of timing runs.",
        "At most: a run that never reaches the accuracy counts with the most that it may save. What it cost up to its "
        "last validation stands for what it would need at least. A claim is missed if the whole interval of this bound "
        "is below the target. Otherwise it is unclear.",
        "The papers' figures are of other models, data and machines; the same method is held against them here.",
        f"Why targets are missed: {CAUSES}, sections {' and '.join(f'“{name}”' for name in SECTIONS)}.",
    )
    return Table("claims", "Claims: met, missed or unclear", columns, (Section("", tuple(rows)),), notes)
