"""Evidence of two campaigns as one, so that seeds can be added to those that were kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from verl_dots.evidence.evaluations import alike
from verl_dots.evidence.methods import in_order
from verl_dots.evidence.records import ACCURACY_RUN, RUN_KEY, TIMING_RUN, Evidence, EvidenceError


def merged(kept: Evidence, new: Evidence) -> Evidence:
    """The runs of both. A new run takes the place of the kept one of the same key.

    A metric that one of the two lacks is nan there. Notes on a combination are of its latest reading alone.
    """
    steps, runs = (
        _ordered(_joined(old, table))
        for old, table in ((kept.steps, new.steps), (kept.runs, new.runs))
    )  # fmt: skip
    read_again = tuple(f"{name}: " for name in sorted(set(new.runs.combination)))
    notes = [note for note in kept.notes if not note.startswith(read_again)]
    # A run that was made again is not the one that was evaluated.
    again = {(run.combination, run.method, run.seed) for run in new.runs.itertuples() if run.kind == ACCURACY_RUN}
    evaluations, told = alike(
        {key: of for key, of in kept.evaluations.items() if key not in again} | dict(new.evaluations)
    )
    notes += [note for note in (*new.notes, *told) if note not in notes]
    return Evidence(steps, runs, tuple(notes), evaluations, {**kept.extra, **new.extra})


def without_round(kept: Evidence, method: str, number: int) -> Evidence:
    """The runs without the timing runs of a method and round, such as those of code that has changed since.

    Raises:
        EvidenceError: there is none.
    """
    tables = []
    for table in (kept.steps, kept.runs):
        named = (table.method == method) & (table.seed == number) & (table.kind == TIMING_RUN)
        tables.append(table[~named].reset_index(drop=True))
    if len(tables[1]) == len(kept.runs):
        timed = kept.runs[kept.runs.kind == TIMING_RUN]
        there = ", ".join(sorted({f"{run.method} {run.seed}" for run in timed.itertuples()})) or "none"
        text = f"--drop {method} {number}: no such timing runs are kept; there are {there}."
        raise EvidenceError(text, key="--drop", reason="unknown")
    return replace(kept, steps=tables[0], runs=tables[1])


def _joined(kept: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    columns = [*kept.columns, *(name for name in new.columns if name not in kept.columns)]
    stays = ~np.isin(_keys(kept), _keys(new))
    return pd.concat([kept[stays], new], ignore_index=True)[columns]


def _keys(table: pd.DataFrame) -> list[str]:
    return ["\0".join(map(str, key)) for key in zip(*(table[name] for name in RUN_KEY), strict=True)]


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """In the order in which run folders are read: combination, method, seed, kind, step."""
    place = {method: index for index, method in enumerate(in_order(sorted(set(table.method))))}
    by = ["combination", "method", "seed", "kind", *(["step"] if "step" in table.columns else [])]
    return table.sort_values(by, key=lambda c: c.map(place) if c.name == "method" else c, ignore_index=True)
