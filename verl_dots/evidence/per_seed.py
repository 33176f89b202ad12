"""Every run by itself: what each seed came to, and its fingerprint, which another machine can compare."""

from __future__ import annotations

import math

import pandas as pd

from verl_dots.evidence.cells import Cell, Column, Figure, Missing, Section, Table, Why
from verl_dots.evidence.combinations import Combinations, label, title
from verl_dots.evidence.measures import cost_column, saved_column
from verl_dots.evidence.methods import BASELINE, in_order
from verl_dots.evidence.records import ACCURACY_RUN, RUN_KEY

# Heading, measure, unit, scale, digits.
SHOWN = (
    ("first", "first_accuracy", "%", 100, 1),
    ("final", "final_accuracy", "%", 100, 1),
    ("steps to {baseline}'s final", cost_column("steps", hold="first"), "", 1, 1),
    ("steps saved", saved_column("steps", hold="first"), "%", 100, 1),
    ("time of a step", "step_ratio", "{baseline} = 1", 1, 2),
    ("total time saved", saved_column("time", hold="first"), "%", 100, 1),
    ("generated tokens", "generated_tokens", "k", 0.001, 1),
    ("effective groups", "effective_groups", "%", 100, 0),
)


def seeds_table(
    by_seed: pd.DataFrame, runs: pd.DataFrame, combinations: Combinations, baseline: str = BASELINE
) -> Table:
    """A section for each combination, a row for each method and seed.

    Args:
        by_seed: see `measures`.
        runs: of `records.Evidence`, for the fingerprints.
    """
    prints = runs[runs.kind == ACCURACY_RUN].set_index(list(RUN_KEY[:3])).fingerprint
    sections = []
    for combination, rows in by_seed.groupby("combination", sort=True):
        lines = []
        for method in in_order(sorted(set(rows.method))):
            for _, row in rows[rows.method == method].sort_values("seed").iterrows():
                found = str(prints.get((combination, method, row.seed), ""))
                cells = [_cell(row.get(measure, math.nan), scale) for _, measure, _, scale, _ in SHOWN]
                lines.append((label(method), str(int(row.seed)), *cells, found))
        sections.append(Section(title(str(combination), combinations), tuple(lines)))
    columns = [Column("method"), Column("seed")]
    name = label(baseline)
    columns += [
        Column(heading.format(baseline=name), unit.format(baseline=name), digits=digits)
        for heading, _, unit, _, digits in SHOWN
    ]
    notes = (
        "Fingerprint: a hash of the accuracies and tokens of every step. The same machine gives the same one.",
        "A dash: never reached, or not recorded.",
    )
    return Table("seeds", "Every seed", (*columns, Column("fingerprint")), tuple(sections), notes)


def _cell(value: float, scale: float) -> Cell:
    return Figure(float(value) * scale) if math.isfinite(value) else Missing(Why.NO_ROW)
