"""Where runs were made, and the timing runs by themselves: of a few runs, by hand."""

import numpy as np
import pandas as pd

from scripts.reproduce.provenance import made_table, timing_table
from verl_dots.evidence.cells import Missing, Why, text_of
from verl_dots.evidence.combinations import Combination
from verl_dots.evidence.measures import ROUND_COLUMNS
from verl_dots.evidence.records import RUN_COLUMNS, RUN_KEY, STEP_COLUMNS, Evidence

COMMIT, OTHER = "a" * 40, "b" * 40
# Combination, method, seed, kind, commit, machine.
RUNS = [
    ("one", "grpo", 1, "accuracy", COMMIT, "two cores"), ("one", "grpo", 2, "accuracy", COMMIT, "two cores"),
    ("two", "grpo", 1, "accuracy", OTHER, "two cores"), ("one", "all", 1, "accuracy", COMMIT, "two cores"),
    ("two", "all", 1, "accuracy", OTHER, ""), ("one", "dash", 1, "accuracy", "", "four cores"),
    ("one", "grpo", 1, "time", OTHER, "two cores"), ("one", "dash", 1, "time", OTHER, "two cores"),
    ("one", "dash", 2, "time", OTHER, "two cores"),
]  # fmt: skip


def runs() -> pd.DataFrame:
    rows = [
        dict.fromkeys(RUN_COLUMNS, "")
        | dict(zip((*RUN_KEY, "commit", "machine"), run, strict=True))
        | {"fingerprint": "f"}
        for run in RUNS
    ]
    return pd.DataFrame(rows)


def test_runs_of_one_commit_and_machine_share_a_row():
    (section,) = made_table(runs()).sections
    assert section.rows == (
        ("GRPO, all", "one", "accuracy", "3", COMMIT, "two cores"),
        ("GRPO", "two", "accuracy", "1", OTHER, "two cores"),
        ("DASH", "one", "accuracy", "1", "not recorded", "four cores"),
        ("all", "two", "accuracy", "1", OTHER, "not recorded"),
        ("all 2 methods", "one", "time of a step", "3", OTHER, "two cores"),
    )


def test_a_timing_run_has_its_seconds_without_the_first_step():
    # Step 1 takes 9 s in each; the others 2 and 4 s of GRPO, 1 and 2 s of DASH's first round; nothing of its second.
    seconds = {("grpo", 1): (9, 2, 4), ("dash", 1): (9, 1, 2), ("dash", 2): (np.nan,) * 3}
    steps = [
        dict.fromkeys(STEP_COLUMNS, np.nan)
        | dict(zip(RUN_KEY, ("one", method, number, "time"), strict=True))
        | {"step": step, "timing_s/step": float(one), "train_seconds": float(sum(of[:step]))}
        for (method, number), of in seconds.items()
        for step, one in enumerate(of, start=1)
    ]
    rounds = pd.DataFrame([("one", "grpo", 1, 1.0), ("one", "dash", 1, 0.5)], columns=list(ROUND_COLUMNS))
    evidence = Evidence(pd.DataFrame(steps), runs())
    table = timing_table(evidence, rounds, {"one": Combination("the first")})
    (section,) = table.sections
    assert section.heading == "the first"
    digits = [column.digits for column in table.columns]
    shown = [[text_of(cell, places) for cell, places in zip(row, digits, strict=True)] for row in section.rows]
    assert shown[:2] == [
        ["GRPO", "1", "3.000", "1.00", OTHER[:12], "two cores", "f"],
        ["DASH", "1", "1.500", "0.50", OTHER[:12], "two cores", "f"],
    ]
    assert section.rows[2][2:4] == (Missing(Why.NOT_RECORDED),) * 2
