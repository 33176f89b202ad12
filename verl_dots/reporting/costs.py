"""What a run has cost up to each step, of verl's own metrics, for runs whose rows do not tell it.

    train_seconds       sum of timing_s/step
    wall_seconds        the same, and timing_s/testing: verl times no validation before training
    generated_tokens    sum of training/generated_tokens; without it, of the batch's response tokens, which are
    generated_rollouts  rows x response_length/mean. Rows are perf/total_num_tokens / (prompt_length/mean +
                        response_length/mean), where that is a whole number

The batch tells nothing of a step in which verl has thrown groups away (a metric ".../evicted_samples" above 0,
or one of surplus; or `train/num_gen_batches` of a recipe's DAPO trainer, which keeps the effective groups alone).
A total is NaN from the first step on of which a part is not known. Nothing is filled in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from verl_dots.reporting.rows import TOTALS

# Further from a whole number than single precision leaves a mean over thousands of rows.
_ROUNDING = 0.01
_EVICTED = ("/evicted_samples", "/discarded_surplus_samples")
_GENERATED_BATCHES = "train/num_gen_batches"
Row = dict[str, Any]


def with_costs(rows: Sequence[Row]) -> list[Row]:
    """Return rows, ascending in `step`, with the totals that they lack; those of which all is NaN stay out."""
    lacking = [name for name in TOTALS if not any(name in row for row in rows)]
    found = [dict(row) for row in rows]
    for name in lacking:
        totals = _totals(rows, _PARTS[name])
        if any(total for total in totals):
            for row, total in zip(found, totals, strict=True):
                row[name] = total
    return found


def batch_rows(row: Row) -> int | None:
    """Return how many rollouts the step's batch has; None where it is not told, or others were generated."""
    tokens, prompt, response = (
        _value(row, key) for key in ("perf/total_num_tokens", "prompt_length/mean", "response_length/mean")
    )
    evicted = any(key.endswith(_EVICTED) and _value(row, key) for key in row) or _GENERATED_BATCHES in row
    if evicted or tokens is None or prompt is None or response is None or prompt + response <= 0:
        return None
    count = tokens / (prompt + response)
    return round(count) if round(count) and abs(count - round(count)) <= _ROUNDING else None


def _totals(rows: Sequence[Row], part: Callable[[Row], float | None]) -> list[float | None]:
    """Sum up to each row; None from the first step on that is missing, or of which the part is not known."""
    totals: list[float | None] = []
    total: float | None = 0.0
    step = 0
    for row in rows:
        if row["step"] > 0:
            value = part(row) if row["step"] == step + 1 else None
            total = None if total is None or value is None else total + value
        step = row["step"]
        totals.append(total)
    return totals


def _train_seconds(row: Row) -> float | None:
    return _value(row, "timing_s/step")


def _wall_seconds(row: Row) -> float | None:
    seconds = _train_seconds(row)
    return None if seconds is None else seconds + (_value(row, "timing_s/testing") or 0.0)


def _tokens(row: Row) -> float | None:
    told, rows = _value(row, "training/generated_tokens"), batch_rows(row)
    return told if told is not None or rows is None else round(rows * row["response_length/mean"])


def _rollouts(row: Row) -> float | None:
    told = _value(row, "training/generated_rollouts")
    # Earlier versions of this package counted tokens alone, of more than the batch.
    return batch_rows(row) if told is None and "training/generated_tokens" not in row else told


def _value(row: Row, key: str) -> float | None:
    value = row.get(key)
    return None if value is None or math.isnan(value) else value


_PARTS: dict[str, Callable[[Row], float | None]] = dict(
    zip(TOTALS, (_wall_seconds, _train_seconds, _tokens, _rollouts), strict=True)
)
