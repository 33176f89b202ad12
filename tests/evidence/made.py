"""Evidence, and the tables of its measures, made of a few figures."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from verl_dots.evidence.measures import SHARES, bound_of, came_column, saved_column
from verl_dots.evidence.records import RUN_COLUMNS, RUN_KEY, STEP_COLUMNS, Evidence

# What the tables read of the summary.
MEASURES = (
    *(f"target_{share}" for share in SHARES),
    *(came_column(share, "first") for share in SHARES),
    "first_accuracy",
    "final_accuracy",
    "difference",
    "difference_at_tokens",
    "generated_tokens",
    "steps",
    "step_seconds",
    "rho",
    "steps_to_100_first",
    "steps_to_100_kept",
    "saved_steps_100_first",
    "saved_per_step",
    "saved_time_100_first",
    "saved_time_100_kept",
    "saved_tokens_100_first",
    "saved_rollouts_100_first",
    *(f"steps_to_{share}_first" for share in (50, 75, 90)),
    *(f"saved_{what}_{share}_first" for what in ("steps", "time", "tokens") for share in (50, 75, 90)),
    *(f"bound_{what}_{share}_first" for what in ("steps", "time", "tokens") for share in (50, 75, 90, 100)),
    "bound_time_100_kept",
    "bound_rollouts_100_first",
)
# mean, low, high, seeds, reached, and the pairs of a time where there are some
Row = tuple[float, ...]
NOTHING: Row = (np.nan, np.nan, np.nan, 3, 0)
# The baseline gains something, and the first validations are below it, unless a test says otherwise.
KNOWN = dict.fromkeys(
    [*(f"target_{share}" for share in SHARES), *(bound_of(saved_column("steps", share, "first")) for share in SHARES)],
    (0.5, 0.5, 0.5, 3, 3),
)


def evidence(accuracies: Mapping[tuple[str, str, int], Mapping[int, float]], **of_run: str) -> Evidence:
    """Runs: (combination, method, seed) -> accuracy by step. `of_run`: `RUN_COLUMNS` of all, else empty."""
    steps = [
        {**dict(zip(RUN_KEY, (*key, "accuracy"), strict=True)), **dict.fromkeys(STEP_COLUMNS, np.nan)}
        | {"step": step, "accuracy": accuracy}
        for key, curve in accuracies.items()
        for step, accuracy in curve.items()
    ]
    runs = [
        {**dict(zip(RUN_KEY, (*key, "accuracy"), strict=True)), **dict.fromkeys(RUN_COLUMNS, ""), **of_run}
        for key in accuracies
    ]
    columns = {"steps": STEP_COLUMNS, "runs": RUN_COLUMNS}
    rows = {"steps": steps, "runs": runs}
    return Evidence(**{name: pd.DataFrame(rows[name], columns=[*RUN_KEY, *columns[name]]) for name in rows})


def _came(given: Mapping[str, Row]) -> dict[str, Row]:
    """Runs come to a target where they have steps to it."""
    steps = {share: given.get(f"steps_to_{share}_first", NOTHING) for share in SHARES}
    return {came_column(share, "first"): (1.0, 1.0, 1.0, *row[3:5]) for share, row in steps.items()}


def summary(figures: Mapping[tuple[str, str], Mapping[str, Row]]) -> pd.DataFrame:
    """(combination, method) -> its measures; those that are not given have no value."""
    columns = ("combination", "method", "measure", "mean", "low", "high", "seeds", "reached", "pairs")
    filled = (
        (key, measure, (KNOWN | _came(given) | given).get(measure, NOTHING))
        for key, given in figures.items()
        for measure in MEASURES
    )
    rows = [(*key, measure, *(*row, 0)[:6]) for key, measure, row in filled]
    return pd.DataFrame(rows, columns=columns).assign(std=np.nan)


def by_seed(source: str, *keys: tuple[str, str, int]) -> pd.DataFrame:
    """Where the seconds of a step are from."""
    rows = [(*key, source) for key in keys]
    return pd.DataFrame(rows, columns=["combination", "method", "seed", "step_source"])
