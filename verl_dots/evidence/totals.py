"""A check of the savings of time: of each, against seconds that are counted anew. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from verl_dots.evidence import over_seeds
from verl_dots.evidence.measures import HOLDS, KEY, SHARES, cost_column, ratio_column, saved_column

_ROUNDING = 1e-9
Pairs = Sequence[tuple[float, float]]  # seconds of a step, the method's and the baseline's


def require_totals(by_seed: pd.DataFrame, pairs: Mapping[tuple, Pairs]) -> None:
    """Check each total of time, and that it is made up of its parts: 1 - time = (1 - steps) (1 - per step).

    Both are held against seconds to the target, the steps of each run times its own seconds of a step: over the
    baseline's, as a mean over the pairs of runs that tell these seconds. The time ratio must be the same.

    Args:
        by_seed: of `measures`, with the baseline's rows.
        pairs: combination, method and seed of a run -> the pairs that its time of a step is of; none where not timed.

    Raises:
        ArithmeticError: one is another; the message names the row and the figures.
    """
    rows = {tuple(row[name] for name in KEY): row for row in by_seed.to_dict("records")}
    for key, own in rows.items():
        base = rows[key[0], own["baseline"], key[2]]
        for share in SHARES:
            for hold in HOLDS:
                _require(key, own, base, pairs.get(key, ()), (share, hold))


def _require(key: tuple, own: Mapping, base: Mapping, pairs: Pairs, target: tuple[int, str]) -> None:
    steps, total = cost_column("steps", *target), saved_column("time", *target)
    counted = ratio_of_seconds(own[steps], base[steps], pairs)
    parts = own[saved_column("steps", *target)], own["saved_per_step"]
    found = 1 - own[total], own[ratio_column(*target)], (1 - parts[0]) * (1 - parts[1])
    if not all(_is_same(one, counted) for one in found):
        raise ArithmeticError(
            f"{'/'.join(map(str, key))}: {total} is {own[total]}, the time ratio is {found[1]}, and the parts make up "
            f"{1 - found[2]} (steps {parts[0]}, per step {parts[1]}); {own[steps]} steps against {base[steps]}, of "
            f"{list(pairs)} seconds, make the ratio {counted}. These must agree."
        )


def ratio_of_seconds(steps: float, of_baseline: float, pairs: Pairs) -> float:
    """Mean over the pairs of a method's seconds to a target over the baseline's; nan where one is not known.

    With 20 steps of 3 s against 30 of 4 s it is 60 / 120 = 0.5.
    """
    seconds = [(steps * own, of_baseline * base) for own, base in pairs]
    return over_seeds.mean([own / base if base > 0 else math.nan for own, base in seconds])


def _is_same(one: float, other: float) -> bool:
    return abs(one - other) <= _ROUNDING * (1 + abs(other)) or (math.isnan(one) and math.isnan(other))
