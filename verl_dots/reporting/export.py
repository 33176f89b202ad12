"""A comparison as JSON values, for `summary.json`."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from verl_dots.reporting.comparison import Comparison, MethodSummary
from verl_dots.reporting.runs import Run


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON values: NaN becomes null, accuracies and shares stay fractions."""
    left_out = [
        {"path": str(one.path), "name": one.name, "seed": one.seed, "reason": one.reason} for one in comparison.left_out
    ]
    return _without_nan(
        {
            "baseline": comparison.baseline,
            "target_accuracy": comparison.target,
            "no_saving": comparison.no_saving,
            "metric_keys": list(comparison.metric_keys),
            "smoothing": comparison.smoothing,
            "left_out": left_out,
            "notes": list(comparison.notes),
            "methods": [_method(method) for method in comparison.methods],
        }
    )


def _method(method: MethodSummary) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": method.name,
        "runs": [
            _run(run) | {"final_accuracy": float(curve.accuracy_E[-1])}
            for run, curve in zip(method.runs, method.curves, strict=True)
        ],
        "mean_curve": {name.removesuffix("_E"): values.tolist() for name, values in vars(method.mean).items()},
    }
    for name in ("first", "final", "gain", "reach", "savings"):
        value = getattr(method, name)
        entry[name] = None if value is None else asdict(value)
    entry["no_saving"] = method.no_saving
    entry["milestones"] = [asdict(milestone) for milestone in method.milestones]
    for name in (
        "steps",
        "wall_seconds",
        "train_seconds",
        "seconds_per_step",
        "tokens",
        "seconds_by_phase",
        "outcomes",
    ):
        entry[name] = getattr(method, name)
    entry["effective_groups"] = method.effective_groups
    return entry


def _run(run: Run) -> dict[str, Any]:
    entry = {"path": str(run.path), "seed": run.seed, "started": run.started, "finished": run.finished}
    entry |= {"unfinished": run.unfinished, "last_step": run.last_step, "planned_steps": run.planned_steps}
    return entry | {"resumes": run.resumes, "versions": run.versions}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
