"""At which steps curves were validated, and at which they are compared."""

from __future__ import annotations

from collections.abc import Mapping

from verl_dots.reporting.validation_curves import Curve, at_steps

# Validations that all methods share are compared alone if they are at least this share of those of each.
MOST = 0.75


def same_steps(one: Curve, two: Curve) -> bool:
    """Whether two curves were validated at the same steps, as far as the shorter one got."""
    return _same(*(set(curve.step_E.tolist()) for curve in (one, two)))


def _same(one: set[float], two: set[float]) -> bool:
    last = min(max(one), max(two))  # itself left aside: the last step is always validated
    return {step for step in one if step < last} == {step for step in two if step < last}


def common_steps(steps: Mapping[str, set[float]]) -> dict[str, set[float]] | None:
    """Return {name: its steps of validation that are compared}; None where names share too few of them.

    These are the steps that all share; the last one of each, and what comes after the end of the shortest, stays. All
    of them stay where nobody lacks one.

    Args:
        steps: those at which each name was validated.
    """
    first, *others = steps.values()
    if all(_same(first, other) for other in others):
        return dict(steps)
    last = min(map(max, steps.values()))
    common = set.intersection(*steps.values())
    if any(len(common) < MOST * sum(step <= last for step in own) for own in steps.values()):
        return None
    return {name: common | {max(own)} | {step for step in own if step > last} for name, own in steps.items()}


def shared(curves: dict[str, list[Curve]]) -> tuple[dict[str, list[Curve]], list[str]]:
    """Return {method: its curves} at the steps at which methods can be compared, and notes where these are not all.

    Where methods share most of their validations, and some lack one or two, these are left out of all: see
    `common_steps`. Methods that were validated at really different steps keep their own.

    Args:
        curves: those of one method have the same steps.
    """
    steps = {name: set(members[0].step_E.tolist()) for name, members in curves.items()}
    kept = common_steps(steps)
    if kept == steps:
        return curves, []
    counts = ", ".join(f"{name} {len(own)}" for name, own in steps.items())
    if kept is None:
        return curves, [
            f"methods differ in the steps of their validations ({counts} of them): what lies between is interpolated, "
            "and wall times include different numbers of validations."
        ]
    note = f"methods differ in the steps of their validations ({counts} of them): only what all share is compared."
    return {name: [at_steps(curve, kept[name]) for curve in members] for name, members in curves.items()}, [note]
