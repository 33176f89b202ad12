"""Markdown tables of a comparison. Pure: in comes a `Comparison`, out comes text.

A quantity that was not recorded or is undefined is shown as a dash.
"""

from __future__ import annotations

import math

from verl_dots.reporting import validation_curves
from verl_dots.reporting.comparison import OUTCOMES, TIME_SHARES, Comparison, MethodSummary, Milestone
from verl_dots.reporting.metric_means import MeanStd
from verl_dots.texts import NOTHING, duration, markdown

# Units of a count, and digits behind the point.
UNITS = ((1.0, 0, ""), (1e3, 1, " k"), (1e6, 2, " M"), (1e9, 2, " G"))
# The two times of a run, told apart wherever one of them is a column.
TRAIN_TIME = "train time (no validation)"
WALL_TIME = "wall time (with validation)"
# verl's phases of a step in the order in which they happen; others follow by name.
PHASE_ORDER = (
    "step",
    "selection",
    "reference_rollouts",
    "predict_difficulty",
    "replay",
    "preemptive",
    "gen",
    "reward",
    "old_log_prob",
    "ref",
    "values",
    "adv",
    "update_critic",
    "update_actor",
    "update_weights",
    "testing",
    "save_checkpoint",
)


def overview_table(comparison: Comparison) -> str:
    """One row a method: runs, accuracy before and after, and what the whole training cost."""
    unit = " (%)" if comparison.is_accuracy else ""
    header = ["method", "runs", f"first{unit}", f"final{unit}", "gain (points)" if unit else "gain"]
    header += ["steps", WALL_TIME, "train s/step", "generated tokens"]
    shares = [method.effective_groups for method in comparison.methods]
    recorded = any(math.isfinite(share) for share in shares)
    header += ["effective groups (%)"] * recorded
    rows = []
    for method in comparison.methods:
        accuracies = [accuracy(value, comparison.is_accuracy) for value in (method.first, method.final)]
        rows.append(
            [method.name, runs_text(method), *accuracies, accuracy(method.gain, comparison.is_accuracy, sign=True)]
            + [
                _number(method.steps, ".10g"),
                _time(method.wall_seconds),
                _number(method.seconds_per_step, ".2f"),
            ]
            + [count(method.tokens)]
            + [_number(100 * method.effective_groups, ".1f")] * recorded
        )
    return markdown(header, rows)


def savings_table(comparison: Comparison) -> str:
    """One row a method: cost up to the baseline's final accuracy, and the shares saved.

    Returns a sentence that says why, where nothing can be saved against the baseline, and an empty string if there is
    nothing to compare.
    """
    if len(comparison.methods) < 2:
        return ""
    if comparison.no_saving:
        return f"No saving is shown: {comparison.no_saving}."
    header = ["method", "runs", "steps", TRAIN_TIME, WALL_TIME, "tokens", "steps saved", "train s/step saved"]
    header += ["train time saved", "wall time saved", "tokens saved"]
    return markdown(header, [_savings_row(method, comparison.baseline) for method in comparison.methods])


def milestones_table(comparison: Comparison) -> str:
    """One row a method: steps to parts of the baseline's gain, and the share of them saved.

    Returns a sentence that says why, where these steps cannot be told, and an empty string if there is nothing to
    compare, or `savings_table` has said why already.
    """
    baseline = comparison.methods[0]
    if len(comparison.methods) < 2 or comparison.no_saving:
        return ""
    if comparison.no_milestones:
        return f"Steps to parts of the gain are not shown: {comparison.no_milestones}."
    header = [f"steps to a share of {baseline.name}'s gain"]
    header += [f"{100 * milestone.share:.0f} %" for milestone in baseline.milestones]
    rows = [[method.name, *map(_milestone_cell, method.milestones)] for method in comparison.methods]
    return markdown(header, rows)


def equal_time_table(comparison: Comparison) -> str:
    """One row a method: accuracy after shares of the baseline's training time; in brackets where training had ended.

    Returns an empty string if there is nothing to compare, or the baseline was validated only once.
    """
    baseline = comparison.methods[0]
    whole = float(baseline.mean.train_seconds_E[-1])
    if len(comparison.methods) < 2 or math.isnan(whole) or len(baseline.mean.step_E) < 2:
        return ""
    header = [f"accuracy after a share of {baseline.name}'s train time ({_time(whole)})"]
    header += [f"{100 * share:.0f} %" for share in TIME_SHARES]
    rows = [
        [method.name, *(_after(method, share * whole, comparison.is_accuracy) for share in TIME_SHARES)]
        for method in comparison.methods
    ]
    return markdown(header, rows)


def outcomes_table(comparison: Comparison) -> str:
    """One row a method: shares of its groups by outcome, see `OUTCOMES`. Empty where nobody recorded them."""
    methods = comparison.methods
    if not any(math.isfinite(share) for method in methods for share in method.outcomes.values()):
        return ""
    rows = [[method.name, *(_number(100 * method.outcomes[label], ".1f") for label in OUTCOMES)] for method in methods]
    return markdown(["groups (%)", *OUTCOMES], rows)


def phases_table(comparison: Comparison) -> str:
    """One row a phase of a step, one column a method: mean seconds a step. Empty without timings."""
    names = {phase for method in comparison.methods for phase in method.seconds_by_phase}
    if not names:
        return ""
    ordered = [phase for phase in PHASE_ORDER if phase in names] + sorted(names - set(PHASE_ORDER))
    rows = [
        [phase, *(_number(method.seconds_by_phase.get(phase, math.nan), ".3f") for method in comparison.methods)]
        for phase in ordered
    ]
    return markdown(["phase", *(method.name for method in comparison.methods)], rows)


def accuracy(value: MeanStd, is_accuracy: bool, sign: bool = False) -> str:
    """Format 0.345 ± 0.0123 as "34.5 ± 1.2" if it is an accuracy, else as "0.345 ± 0.012"."""
    if math.isnan(value.mean):
        return NOTHING
    scale, digits = (100.0, 1) if is_accuracy else (1.0, 3)
    text = f"{value.mean * scale:{'+' if sign else ''}.{digits}f}"
    return text if math.isnan(value.std) else f"{text} ± {value.std * scale:.{digits}f}"


def count(value: float) -> str:
    """Format a count as "950", "12.3 k", "4.56 M" or "7.89 G"."""
    if math.isnan(value):
        return NOTHING
    fitting = (one for one in UNITS if round(value / one[0], one[1]) < 1000)  # as it is shown
    size, digits, unit = next(fitting, UNITS[-1])
    return f"{value / size:.{digits}f}{unit}"


def runs_text(method: MethodSummary) -> str:
    """The number of runs, and how many of them are unfinished."""
    return f"{len(method.runs)} ({method.unfinished} unfinished)" if method.unfinished else str(len(method.runs))


def _savings_row(method: MethodSummary, baseline: str) -> list[str]:
    row = [f"{method.name} (baseline)" if method.name == baseline else method.name, runs_text(method)]
    if method.reach is None:
        return [*row, method.no_saving or NOTHING, *[NOTHING] * 8]
    reach, saved = method.reach, method.savings
    row += [
        _number(reach.steps, ".1f"),
        _time(reach.train_seconds),
        _time(reach.wall_seconds),
    ]
    row.append(count(reach.tokens))
    if method.name == baseline or saved is None:
        return row + [NOTHING] * 5
    shares = (saved.steps, saved.seconds_per_step, saved.total, saved.wall, saved.tokens)
    return row + [_percent(share) for share in shares]


def _after(method: MethodSummary, train_seconds: float, is_accuracy: bool) -> str:
    value, ended = validation_curves.accuracy_at(method.mean, train_seconds)
    text = accuracy(MeanStd(value, math.nan, 1), is_accuracy)
    if not ended:
        return text
    return f"({text})" if method.mean.step_E[-1] >= method.steps else NOTHING  # else it trained on, not validated


def _milestone_cell(milestone: Milestone) -> str:
    if milestone.reach is None:
        return milestone.no_saving or NOTHING
    saved = milestone.savings.steps if milestone.savings else math.nan
    steps = f"{milestone.reach.steps:.1f}"
    return steps if math.isnan(saved) or saved == 0 else f"{steps} ({_percent(saved)} saved)"


def _percent(share: float) -> str:
    return NOTHING if math.isnan(share) else f"{100 * share:.1f} %"


def _number(value: float, spec: str) -> str:
    return NOTHING if math.isnan(value) else format(value, spec)


def _time(seconds: float) -> str:
    return duration(seconds, measured=True)
