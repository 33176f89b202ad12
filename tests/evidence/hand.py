"""Evidence written by hand: runs whose every step costs the same."""

import math
from collections.abc import Mapping

import pandas as pd

from verl_dots.evidence.records import RUN_COLUMNS, RUN_KEY, STEP_COLUMNS, Evidence, fingerprint


def run(
    accuracies: Mapping[int, float], seconds: float = 2.0, tokens: int = 100, rollouts: int = 4, **metrics: float
) -> pd.DataFrame:
    """Rows of steps 0 to the last in `accuracies`; each step has these costs, and each after 0 these `metrics`."""
    rows = []
    for step in range(max(accuracies) + 1):
        costs = map(float, (2 * seconds * step, seconds * step, tokens * step, rollouts * step))
        row = dict(zip(STEP_COLUMNS, (step, accuracies.get(step, math.nan), *costs), strict=True))
        rows.append(row | (metrics if step else {}))
    return pd.DataFrame(rows)


def evidence(runs: Mapping[tuple, pd.DataFrame]) -> Evidence:
    """Of runs by method and seed, and what else `RUN_KEY` has: combination "c" and kind "accuracy" by default."""
    whole = {}
    for key, rows in runs.items():
        method, seed, kind, combination = (*key, *("accuracy", "c")[len(key) - 2 :])
        whole[combination, method, seed, kind] = rows
    tables = [rows.assign(**dict(zip(RUN_KEY, key, strict=True))) for key, rows in whole.items()]
    steps = pd.concat(tables, ignore_index=True)
    metrics = [name for name in steps.columns if name not in (*RUN_KEY, *STEP_COLUMNS)]
    about = [
        dict(zip(RUN_KEY, key, strict=True)) | dict.fromkeys(RUN_COLUMNS, "") | {"fingerprint": fingerprint(rows)}
        for key, rows in whole.items()
    ]
    return Evidence(steps[[*RUN_KEY, *STEP_COLUMNS, *metrics]], pd.DataFrame(about))
