"""Means against numbers worked out by hand."""

import math

import pandas as pd

from verl_dots.reporting.metric_means import seconds_by_phase, seconds_per_step


def test_seconds_leave_the_first_step_out():
    rows = pd.DataFrame({"step": range(4), "train_seconds": [0.0, 50.0, 53.0, 58.0]})
    rows["timing_s/gen"] = [math.nan, 40.0, 1.0, 3.0]
    rows["timing_s/testing"] = [9.0, math.nan, math.nan, 4.0]
    rows["timing_s/agent_loop/slowest"] = [math.nan, 1.0, 1.0, 1.0]
    assert seconds_per_step(rows) == 4.0  # (58 - 50) / 2
    assert seconds_by_phase(rows) == {"gen": 2.0, "testing": 2.0}  # (1 + 3) / 2, (0 + 4) / 2
    assert math.isnan(seconds_per_step(rows[:2]))
    assert seconds_by_phase(rows[:2]) == {}
