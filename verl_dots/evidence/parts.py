"""Seconds of a step by its parts, of the methods that were timed: the mean of combinations."""

from __future__ import annotations

import pandas as pd

from verl_dots.evidence import summary_cells
from verl_dots.evidence.cells import Cell, Column, Missing, Section, Table, Why
from verl_dots.evidence.combinations import Combinations, label, mean_title
from verl_dots.evidence.measures import PART
from verl_dots.evidence.methods import in_order
from verl_dots.evidence.ours import Ours
from verl_dots.evidence.records import TIMING_RUN

NAME = "parts"
# verl's and our names, in the order of the columns; others follow by name.
ORDER = (
    "step", "gen", "old_log_prob", "update_actor", "adv", "update_weights", "selection", "reference_rollouts",
    "predict_difficulty", "replay",
)  # fmt: skip
NOTES = (
    "Seconds a step of timing runs, without the first step. `step` is all of it.",
    "`selection` has `reference_rollouts` and `predict_difficulty` in it. A dash: the method has no such part.",
    "Pairs: runs of the method and of the baseline, of one combination and round, that its time of a step is of.",
    "Rounds differ in speed: rows with other pairs are not of the same rounds, so do not compare their seconds.",
)


def parts_table(ours: Ours, combinations: Combinations) -> Table:
    """A row for each method with timing runs; without rows where there is none, or no combination stands for all."""
    whole = summary_cells.whole(ours.summary)
    timed = set(ours.by_seed.method[ours.by_seed.step_source == TIMING_RUN])
    mine = ours.summary[(ours.summary.combination == whole) & ours.summary.method.isin(timed)]
    parts = [name.removeprefix(PART) for name in dict.fromkeys(mine.measure[mine.reached > 0]) if name.startswith(PART)]
    names = [name for name in ORDER if name in parts] + sorted(set(parts) - set(ORDER))
    rows = (
        tuple(_row(mine, str(whole), method, names) for method in in_order(sorted(set(mine.method)))) if names else ()
    )
    columns = (Column("method"), Column("pairs"), *(Column(name, "s", digits=3) for name in names))
    of = f", {mean_title(whole, ours.evidence, combinations, ours.measured.baseline)}" if whole else ""
    return Table(NAME, f"Seconds of a step by part{of}", columns, (Section("", rows),), NOTES)


def _row(summary: pd.DataFrame, whole: str, method: str, names: list[str]) -> tuple[Cell, ...]:
    pairs = int(summary.pairs[summary.method == method].max())
    return (label(method), str(pairs), *(_cell(summary, whole, method, PART + name) for name in names))


def _cell(summary: pd.DataFrame, whole: str, method: str, measure: str) -> Cell:
    found = summary_cells.figure(summary, whole, method, measure)
    if not isinstance(found, Missing):
        return found
    return Missing(Why.NOT_MEASURED, found.detail) if found.detail else Missing(Why.NO_ROW)
