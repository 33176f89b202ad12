"""Why a saving cannot be told: a number is shown only where both curves really climb through the target.

Nothing is extrapolated. A baseline that was validated once, or ends no higher than it began, has no cost of reaching
its final accuracy; a method that is above the target from its first validation got there at an unknown cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from verl_dots.reporting import validation_curves
from verl_dots.reporting.comparison import MethodSummary
from verl_dots.reporting.validation_curves import Curve

LEAST_FOR_MILESTONES = 3


def of_baseline(name: str, mean: Curve, window: int, is_accuracy: bool) -> str | None:
    """Return why nothing can be saved against the baseline `name`; None if something can."""
    count = len(mean.accuracy_E)
    if count == 1:
        return f"{name} was validated only once, at step {mean.step_E[0]:.0f}"
    if count < window:
        return f"{name} has {count} validations, fewer than the {window} that are averaged"
    first, final = float(mean.accuracy_E[0]), float(mean.accuracy_E[-1])
    if final <= first:
        texts = value_text(final, is_accuracy), value_text(first, is_accuracy)
        return f"{name} does not climb: its final accuracy ({texts[0]}) is not above its first ({texts[1]})"
    return None


def of_method(mean: Curve, target: float, window: int, steps_of_baseline: float) -> str | None:
    """Return why a method's cost of reaching `target` cannot be told, in some words for a table; None if it can."""
    count = len(mean.accuracy_E)
    if mean.accuracy_E[0] >= target:
        return f"above at its first validation (step {mean.step_E[0]:.0f})"
    if count == 1:
        return "validated once"
    if validation_curves.first_reach(mean, target) is None:
        return "never" if mean.step_E[-1] >= steps_of_baseline else f"not in {mean.step_E[-1]:.0f} steps"
    return f"fewer validations ({count}) than are averaged" if count < window else None


def of_milestones(name: str, mean: Curve) -> str | None:
    """Return why parts of the way of the baseline `name` cannot be told apart; None if they can."""
    count = len(mean.accuracy_E)
    if count < LEAST_FOR_MILESTONES:
        return f"{name} was validated only {count} times"
    return None


def remarks(base: MethodSummary, others: Sequence[MethodSummary], is_accuracy: bool) -> list[str]:
    """Return notes on crossings that are no lasting ones: of the baseline `base`, and of the methods that save."""
    found = []
    end = base.mean.step_E[-1]
    if base.reach is not None and base.reach.steps < end:
        found.append(
            f"{base.name} was at its final accuracy at step {base.reach.steps:.1f} of {end:.0f} already: "
            "its cost is counted up to there."
        )
    target = float(base.mean.accuracy_E[-1])
    for method in others:
        final = float(method.mean.accuracy_E[-1])
        if method.reach is not None and final < target:
            texts = value_text(final, is_accuracy), value_text(target, is_accuracy)
            found.append(
                f"{method.name} was at {base.name}'s final accuracy at step {method.reach.steps:.1f}, but ends below "
                f"it ({texts[0]} against {texts[1]}): its saving did not last."
            )
    return found


def short_smoothing(curves: Mapping[str, Sequence[Curve]], window: int) -> list[str]:
    """Return a note where methods have fewer validations than are averaged."""
    counts = {method: min(len(curve.accuracy_E) for curve in members) for method, members in curves.items()}
    short = ", ".join(f"{method} {count}" for method, count in counts.items() if count < window)
    return [f"fewer validations than the {window} that are averaged: {short}."] if short else []


def value_text(value: float, is_accuracy: bool) -> str:
    """Format a share as "71.4 %", anything else as "0.714"."""
    return f"{100 * value:.1f} %" if is_accuracy else f"{value:.3f}"
