"""The means of combinations again, without runs in which the baseline hardly learns: its costs there are noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from verl_dots.evidence.cells import Cell, Column, Section, Table
from verl_dots.evidence.combinations import label
from verl_dots.evidence.measures import OVERALL
from verl_dots.evidence.measuring import Measured
from verl_dots.evidence.methods import in_order
from verl_dots.evidence.ours import Asked, Ours
from verl_dots.evidence.records import Evidence
from verl_dots.evidence.summarise import summarise
from verl_dots.evidence.summary_cells import reached

QUESTIONS = 512  # of a validation of the ladder's combinations, see recipes/evidence/inputs.yaml
ERRORS = 2  # standard errors of one validation that a gain must be
SAVED = {"steps saved": "steps_saved", "total time saved": "total_saved", "tokens saved": "tokens_saved"}


def least_gain(accuracy: float, questions: int = QUESTIONS) -> float:
    """`ERRORS` standard errors of a share that was measured on so many questions: 2 sqrt(p (1 - p) / n)."""
    return ERRORS * math.sqrt(accuracy * (1 - accuracy) / questions)


def not_learnt(measured: Measured) -> pd.DataFrame:
    """The baseline's rows of `by_seed` whose gain is less than `least_gain` at their final accuracy.

    Combinations that the mean leaves out are no matter.
    """
    rows = measured.by_seed
    base = rows[(rows.method == rows.baseline) & ~rows.combination.isin(measured.apart)]
    return base[base.gain < base.final_accuracy.map(least_gain)]


def learnt_table(evidence: Evidence, measured: Measured) -> Table:
    """Means of all runs, and of those without `not_learnt`, side by side; without rows where nothing is left out."""
    lost = not_learnt(measured)
    without = pd.MultiIndex.from_frame(lost[["combination", "seed"]])
    keys = pd.MultiIndex.from_frame(measured.by_seed[["combination", "seed"]])
    by_seed = measured.by_seed[~keys.isin(without)]
    kinds: dict[str, Ours] = {"all runs": Ours(evidence, measured)}
    if len(lost) and len(by_seed):
        fewer = replace(measured, by_seed=by_seed, summary=summarise(by_seed, measured.rounds, measured.apart))
        kinds["without"] = Ours(evidence, fewer)
    columns = [Column("method"), *(Column(f"reached, {kind}") for kind in kinds)]
    columns += [Column(f"{heading}, {kind}", "%", digits=1) for heading in SAVED for kind in kinds]
    names = _with_means(kinds) if len(kinds) > 1 else []
    rows = tuple(_row(name, kinds) for name in names)
    title = "Means of combinations without runs in which GRPO hardly learns"
    return Table("learnt", title, tuple(columns), (Section("", rows),), _notes(lost))


def _with_means(kinds: Mapping[str, Ours]) -> Sequence[str]:
    """Methods that have a mean of combinations of each kind."""
    found = []
    for ours in kinds.values():
        of = ours.summary
        mean = of[(of.combination == OVERALL) & (of.measure == "final_accuracy")].dropna(subset="mean")
        found.append(set(mean.method))
    return in_order(sorted(set.intersection(*found)))


def _row(method: str, kinds: Mapping[str, Ours]) -> tuple[Cell, ...]:
    asked = Asked(OVERALL, method)
    counts = (reached(ours.summary, OVERALL, method) for ours in kinds.values())
    return (label(method), *counts, *(ours.cell(name, asked) for name in SAVED.values() for ours in kinds.values()))


def _notes(lost: pd.DataFrame) -> tuple[str, ...]:
    told = [
        f"Left out: {row.combination}, seed {row.seed}. GRPO comes from {100 * row.first_accuracy:.1f} to "
        f"{100 * row.final_accuracy:.1f} %, and {ERRORS} standard errors of {QUESTIONS} questions are "
        f"{100 * least_gain(row.final_accuracy):.1f} points."
        for row in lost.itertuples()
    ]
    return (
        "A saving is a share of what GRPO needs for its gain. Where this gain is within the noise of a validation, so "
        "is that cost, and such a run weighs as much as any other.",
        *told,
    )
