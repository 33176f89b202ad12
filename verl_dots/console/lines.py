"""From a run's settings and the rows of its metrics.jsonl to the lines that are shown: text, no output."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from verl_dots.texts import duration

WIDTH = 110
ACCURACIES = ("/acc/mean@", "/reward/mean@")  # of verl's val-core metrics, the first that is there


def start_lines(facts: Mapping[str, str]) -> list[str]:
    """Names and what they stand for, in two columns; what is empty is left out."""
    width = max(map(len, facts))
    return [f"  {name:<{width}}  {value}" for name, value in facts.items() if value]


def differing(given: Mapping[str, Any], default: Mapping[str, Any], prefix: str = "dots.") -> list[str]:
    """`KEY=VALUE` for each setting that is not at its default, groups within groups included."""
    found = []
    for name, value in given.items():
        if isinstance(value, Mapping):
            found += differing(value, default[name], f"{prefix}{name}.")
        elif value != default[name]:
            shown = f"[{','.join(map(str, value))}]" if isinstance(value, list | tuple) else value
            found.append(f"{prefix}{name}={shown}")
    return found


def folded(words: Sequence[str], width: int = WIDTH, indent: int = 14) -> str:
    """Words in as many lines as they need, all but the first indented."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width - indent:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return f"\n{' ' * indent}".join(lines)


def step_line(row: Mapping[str, Any], steps: int | None, seconds_left: float | None = None) -> str:
    """One line about a step: reward, accuracy where it was measured, tokens, seconds, and how long the rest will take.

    Args:
        row: of metrics.jsonl.
        steps: of the whole run, if that is known.
        seconds_left: to the end of the run, if that can be told.
    """
    number = f"{row['step']:>{len(str(steps))}}/{steps}" if steps else str(row["step"])
    parts = [f"step {number}"]
    if (reward := _number(row, "critic/score/mean")) is not None:
        parts.append(f"reward {reward:.3f}")
    if measured := validation(row):
        parts.append(measured)
    if (tokens := _number(row, "training/generated_tokens")) is not None:
        parts.append(f"{tokens:,.0f} tokens")
    if failed := _number(row, "training/failed_rollouts"):
        parts.append(f"{failed:.0f} rollouts failed")
    if (seconds := _number(row, "timing_s/step")) is not None:
        parts.append(f"{seconds:.1f} s")
    if "timing_s/save_checkpoint" in row:
        parts.append("saved")
    if seconds_left is not None and steps and row["step"] < steps:
        parts.append(f"{duration(seconds_left)} left")
    return "  ".join(parts)


def validation(row: Mapping[str, Any]) -> str:
    """The mean over the validation sets, as text; empty where the row has none."""
    for part in ACCURACIES:
        values = [value for key, value in row.items() if key.startswith("val-core/") and part in key]
        values = [value for value in values if value is not None]
        if values:
            mean = sum(values) / len(values)
            return f"accuracy {100 * mean:.1f} %" if part == ACCURACIES[0] else f"validation reward {mean:.3f}"
    return ""


def seconds_left(first: Mapping[str, Any], row: Mapping[str, Any], steps: int | None) -> float | None:
    """Time that the steps after `row` will take if they take as long as those since the row `first`, on average."""
    if not steps or row["step"] <= first["step"]:
        return None
    return (row["wall_seconds"] - first["wall_seconds"]) / (row["step"] - first["step"]) * (steps - row["step"])


def _number(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    return value if isinstance(value, int | float) and math.isfinite(value) else None
