"""The table of every seed."""

import math

import pandas as pd

from verl_dots.evidence.cells import text_of
from verl_dots.evidence.per_seed import seeds_table
from verl_dots.evidence.records import RUN_KEY


def test_each_seed_has_its_figures_and_its_fingerprint():
    by_seed = pd.DataFrame([
        {"combination": "one", "method": "dots", "seed": 2, "final_accuracy": 0.7, "steps_to_100_first": math.nan},
        {"combination": "one", "method": "dots", "seed": 1, "final_accuracy": 0.725, "steps_to_100_first": 25.55,
         "saved_steps_100_first": 0.1, "step_ratio": 1.25, "generated_tokens": 94520.0},
        {"combination": "one", "method": "grpo", "seed": 1, "final_accuracy": 0.71, "steps_to_100_first": 30.0},
    ])  # fmt: skip
    runs = pd.DataFrame(
        [("one", "dots", 1, "accuracy", "0123456789abcdef"), ("one", "dots", 1, "time", "other")],
        columns=[*RUN_KEY, "fingerprint"],
    )
    table = seeds_table(by_seed, runs, {})
    (section,) = table.sections
    digits = [column.digits for column in table.columns]
    rows = [[text_of(cell, places) for cell, places in zip(row, digits, strict=True)] for row in section.rows]
    assert section.heading == "one" and [row[:2] for row in rows] == [["GRPO", "1"], ["DOTS", "1"], ["DOTS", "2"]]
    assert rows[1][2:] == ["–", "72.5", "25.6", "10.0", "1.25", "–", "94.5", "–", "0123456789abcdef"]
    assert rows[2][3:5] == ["70.0", "–"] and rows[2][-1] == ""
