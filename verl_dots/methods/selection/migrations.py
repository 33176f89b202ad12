"""What brings states of selection that earlier versions wrote to the present one."""

from typing import Any

import numpy as np


def to_version_2(saved: dict[str, Any]) -> dict[str, Any]:
    """Version 1 took groups for effective by their difficulty, and had forgotten the last correlation."""
    state = saved["state"]
    state["curriculum"]["trust"]["rho"] = float("nan")
    if state["predictor"]["kind"] == "online":
        observed = state["predictor"]["observed"]
        observed["effective"] = ((observed["difficulty"] > 0) & (observed["difficulty"] < 1)).astype(np.float64)
    return saved


def to_version_3(saved: dict[str, Any]) -> dict[str, Any]:
    """Version 2 did not tell which questions of planned batches were not measured, but for those drawn uniformly."""
    if "exploration" in saved["state"]:
        exploration = saved["state"]["exploration"]
        exploration["awaited"] = np.sort(exploration["pending_questions"])
    return saved
