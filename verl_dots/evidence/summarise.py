"""The measures over seeds and over combinations: the table `summary` of `measures`. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from verl_dots.evidence import over_rounds, over_seeds
from verl_dots.evidence.measures import OVERALL, PART, SUMMARY_COLUMNS

RATIOS = ("step_ratio", "saved_per_step")
# Columns of `by_seed` that a time of a step is part of.
IN_TOTAL = ("saved_time_", "bound_time_", "time_ratio_")

# Of a combination and a method: columns of `by_seed`, and the ratios of the rounds of its timing runs.
Own = tuple[Mapping[str, list[float]], Sequence[float]]


def summarise(by_seed: pd.DataFrame, rounds: pd.DataFrame, apart: Collection[str] = ()) -> pd.DataFrame:
    """Return `summary`: combinations, methods and measures in the order of `by_seed`.

    Args:
        by_seed, rounds: of `measures`.
        apart: combinations that the mean of combinations leaves out.
    """
    names = [name for name in by_seed.select_dtypes("number").columns if name != "seed"]
    numbers = by_seed.groupby(["combination", "method"], sort=False)[names]
    groups = {key: rows.to_dict("list") for key, rows in numbers}
    ratios = {key: of["step_ratio"].tolist() for key, of in rounds.groupby(["combination", "method"])}
    owns = {key: (table, ratios.get(key, [])) for key, table in groups.items()}
    rows = [(*key, name, *_over_seeds(own, name)) for key, own in owns.items() for name in names]
    combinations = [name for name in dict.fromkeys(by_seed["combination"]) if name not in apart]
    if len(combinations) > 1:
        for method in dict.fromkeys(by_seed[by_seed["combination"].isin(combinations)]["method"]):
            there = [owns.get((combination, method)) for combination in combinations]
            rows += [(OVERALL, method, name, *_over_combinations(there, name)) for name in names]
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _of_rounds(name: str) -> bool:
    """Whether a measure is of seconds, which all seeds of a combination share where it was timed."""
    return name in (*RATIOS, "step_seconds") or name.startswith((PART, *IN_TOTAL))


def _ends(owns: Sequence[Own], name: str, mean: float) -> tuple[float, float]:
    """The interval of a mean. A time of timing runs has that of their pairs, and a total that of seeds and pairs."""
    groups, ratios = [table[name] for table, _ in owns], [of for _, of in owns]
    if not any(ratios) or not _of_rounds(name):
        return over_seeds.interval(groups)
    if name in RATIOS:
        half = over_rounds.half_width(ratios)
        return mean - half, mean + half
    if not name.startswith(IN_TOTAL):
        return math.nan, math.nan
    steps = [_ratio_of_steps(table, name) / len(owns) for table, _ in owns]
    return over_rounds.widened(mean, over_seeds.interval(groups), over_rounds.half_width(ratios, steps))


def _ratio_of_steps(table: Mapping[str, list[float]], name: str) -> float:
    """Mean steps to a target over the baseline's: by so much a total follows the time of a step."""
    values_S = np.array(table[name])
    totals_S = values_S if name.startswith("time_ratio_") else 1 - values_S
    return over_seeds.mean((totals_S / np.array(table["step_ratio"])).tolist())


def _reached(values: Sequence[float]) -> int:
    return sum(not math.isnan(value) for value in values)


def _pairs(owns: Sequence[Own], name: str) -> int:
    """Of how many pairs of timing runs a measure is."""
    return sum(len(ratios) for _, ratios in owns) if _of_rounds(name) else 0


def _over_seeds(own: Own, name: str) -> tuple[float, float, float, float, int, int, int]:
    """Mean, std, low, high, seeds, reached and pairs."""
    values, pairs = own[0][name], _pairs([own], name)
    if (reached := _reached(values)) < len(values):
        return np.nan, np.nan, np.nan, np.nan, len(values), reached, pairs
    mean = over_seeds.mean(values)
    return mean, over_seeds.std(values), *_ends([own], name, mean), len(values), reached, pairs


def _over_combinations(owns: Sequence[Own | None], name: str) -> tuple[float, float, float, float, int, int, int]:
    """The same, of combinations that count alike; None where the method has no run in one."""
    there = [own for own in owns if own is not None]
    values, pairs = [table[name] for table, _ in there], _pairs(there, name)
    seeds, reached = sum(map(len, values)), sum(map(_reached, values))
    if len(there) < len(owns) or reached < seeds:
        return np.nan, np.nan, np.nan, np.nan, seeds, reached, pairs
    means = [over_seeds.mean(of) for of in values]
    mean = over_seeds.mean(means)
    return mean, over_seeds.std(means), *_ends(there, name, mean), seeds, reached, pairs
