"""The measures over seeds and over combinations: the table `summary` of `measures`. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from verl_dots.evidence import over_seeds
from verl_dots.evidence.measures import OVERALL, PART, SUMMARY_COLUMNS
from verl_dots.evidence.records import TIMING_RUN

# Columns of `by_seed` that a time of a step is part of.
IN_TOTAL = ("saved_time_", "time_ratio_")

Values = Mapping[tuple[str, str], pd.DataFrame]


def summarise(by_seed: pd.DataFrame, apart: Collection[str] = ()) -> pd.DataFrame:
    """Return `summary`: combinations, methods and measures in the order of `by_seed`.

    Args:
        apart: combinations that the mean of combinations leaves out.
    """
    names = [name for name in by_seed.select_dtypes("number").columns if name != "seed"]
    groups: Values = dict(list(by_seed.groupby(["combination", "method"], sort=False)))
    rows = [(*key, name, *_over_seeds(table, name)) for key, table in groups.items() for name in names]
    combinations = [name for name in dict.fromkeys(by_seed["combination"]) if name not in apart]
    if len(combinations) > 1:
        for method in dict.fromkeys(by_seed[by_seed["combination"].isin(combinations)]["method"]):
            tables = [groups.get((combination, method)) for combination in combinations]
            rows += [(OVERALL, method, name, *_over_combinations(tables, name)) for name in names]
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _timed(name: str) -> bool:
    return name in ("step_seconds", "step_ratio", "saved_per_step") or name.startswith(PART)


def _of_rounds(table: pd.DataFrame) -> bool:
    """Whether times of a step are means over rounds of timing runs, which all seeds share: that is no spread of 0."""
    return bool((table["step_source"] == TIMING_RUN).any())


def _ends(tables: Sequence[pd.DataFrame], name: str) -> tuple[float, float]:
    """The interval of a mean; none of what all seeds share: a time of a step, or a total of equal steps."""
    groups = [table[name].tolist() for table in tables]
    shared = _timed(name) or (name.startswith(IN_TOTAL) and all(len(set(values)) == 1 for values in groups))
    return (np.nan, np.nan) if shared and any(map(_of_rounds, tables)) else over_seeds.interval(groups)


def _over_seeds(table: pd.DataFrame, name: str) -> tuple[float, float, float, float, int, int]:
    """Mean, std, low, high, seeds and reached."""
    values = table[name]
    reached = int(values.notna().sum())
    if reached < len(values):
        return np.nan, np.nan, np.nan, np.nan, len(values), reached
    found = values.tolist()
    return over_seeds.mean(found), over_seeds.std(found), *_ends([table], name), len(found), reached


def _over_combinations(tables: Sequence[pd.DataFrame | None], name: str) -> tuple[float, float, float, float, int, int]:
    """The same, of combinations that count alike; None where the method has no run in one."""
    there = [table for table in tables if table is not None]
    seeds, reached = sum(map(len, there)), int(sum(table[name].notna().sum() for table in there))
    if len(there) < len(tables) or reached < seeds:
        return np.nan, np.nan, np.nan, np.nan, seeds, reached
    means = [over_seeds.mean(table[name].tolist()) for table in there]
    return over_seeds.mean(means), over_seeds.std(means), *_ends(there, name), seeds, reached
