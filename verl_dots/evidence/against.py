"""How far methods end above another one than the baseline. Pure functions."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from verl_dots.evidence.measures import KEY, ROUND_COLUMNS
from verl_dots.evidence.summarise import summarise

MEASURE = "difference"


def differences(by_seed: pd.DataFrame, other: str, apart: Collection[str] = ()) -> pd.DataFrame:
    """`measures`' summary of one measure: final accuracy less that of `other`'s run of the same combination and seed.

    A method counts only where each of its runs has such a one, but for combinations that stand `apart`.
    """
    beside = by_seed[by_seed.method == other].set_index(["combination", "seed"]).final_accuracy.rename("beside")
    mine = by_seed[[*KEY, "final_accuracy"]].join(beside, on=["combination", "seed"])
    mine[MEASURE] = mine.final_accuracy - mine.beside
    without = set(mine.method[mine[MEASURE].isna() & ~mine.combination.isin(apart)])
    mine = mine[mine[MEASURE].notna() & ~mine.method.isin(without)]
    return summarise(mine[[*KEY, MEASURE]], pd.DataFrame(columns=list(ROUND_COLUMNS)), apart)
