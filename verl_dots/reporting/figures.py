"""Figures of a comparison: matplotlib `Figure` objects, drawn without pyplot's global state.

One colour a method, the baseline in black. A band is one standard deviation over seeds on
either side of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from verl_dots.reporting import drawing, lines, metric_means
from verl_dots.reporting.comparison import Comparison, MethodSummary
from verl_dots.reporting.drawing import BASELINE_COLOUR, SIZE_INCHES, STYLE

REPLAYED_SHARE = "replay/share"
AGES = ("1", "2-3", "4-7", "8+")
AGE_KEY = "loss/age_{}/ratio/log_difference"
SHARE_LABELS = ("Replayed", "training step", "groups of a batch (%)")
MOVED_LABELS = ("How far the policy has moved on", "age of the group (steps)", "mean |log ratio| of a token")
CLIPPED_LABELS = ("Clipped by the loss", "training step", "tokens (%)")
TEMPERATURE = "temperature/temperature"
TARGET = "temperature/target"
POLICY_ENTROPY = ("actor/entropy", "Policy entropy", "nats per token")
SAMPLED_ENTROPY = ("training/sampled_entropy", "Entropy of the rollouts", "nats per token, by their log-probs")
CONTROLLER_PANELS = (
    POLICY_ENTROPY,
    (TEMPERATURE, "Sampling temperature", "temperature"),
)
REWARD = ("critic/score/mean", "Training reward", "mean reward")
LENGTH = ("response_length/mean", "Response length", "tokens")
TWENTIETH, TENTH = (f"trailing mean over a {part} of the steps" for part in ("twentieth", "tenth"))


def accuracy_figure(comparison: Comparison) -> Figure:
    """Draw the smoothed validation accuracy against steps, wall time and generated tokens.

    The dotted line is the baseline's final accuracy, the target of the savings table. With more
    than four methods there are no bands.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES)
        panels = figure.subplots(1, 3, sharey=True)
        scale = 100.0 if comparison.is_accuracy else 1.0
        seconds, unit = _time_unit(comparison.methods)
        costs = (("step_E", 1.0), ("wall_seconds_E", 1.0 / seconds), ("tokens_E", 1.0))
        names = ("training step", f"wall time with validation ({unit})", "generated tokens")
        for panel, (axis, factor), name in zip(panels, costs, names, strict=True):
            lacking = []
            for index, method in enumerate(comparison.methods):
                if not np.isfinite(getattr(method.mean, axis)).any():
                    lacking.append(method.name)
                    continue
                look = drawing.look(index, method.name, comparison.baseline)
                lines.draw_curve(panel, method, axis, factor, scale, look)
                if lines.has_band(method, comparison):
                    lines.draw_seed_band(panel, method, axis, factor, scale, look)
            drawing.name_lacking(panel, axis.removesuffix("_E"), lacking)
            if len(comparison.methods) > 1:
                label = f"{drawing.plain(comparison.baseline)}'s final accuracy"
                panel.axhline(
                    scale * comparison.target, color=BASELINE_COLOUR, linestyle=":", linewidth=1.6, label=label
                )
            panel.set_xlabel(name)
            panel.margins(x=0.02)
        panels[0].xaxis.set_major_locator(drawing.locator(integer=True))
        panels[1].xaxis.set_major_locator(drawing.locator())
        panels[2].xaxis.set_major_locator(drawing.locator())
        panels[2].xaxis.set_major_formatter(EngFormatter(sep=" "))
        figure.suptitle(f"{comparison.label}, {comparison.smoothing}")
        panels[0].set_ylabel(f"{comparison.label} (%)" if comparison.is_accuracy else comparison.label)
        drawing.legend(figure, panels[0])
        return figure


def training_figure(comparison: Comparison) -> Figure:
    """Draw training reward, entropy and response length against steps.

    Seeds are averaged; the line is a trailing mean over a twentieth of the steps. With four
    methods or fewer the unsmoothed mean is drawn beneath it as a faint line, and the band. A
    panel names the methods that did not record its metric. The entropy is that of the rollouts
    where all methods have it: a policy's own takes a forward pass, which not all of them make.
    """
    sampled = all(any(SAMPLED_ENTROPY[0] in run.rows for run in method.runs) for method in comparison.methods)
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES)
        panels = figure.subplots(1, 3)
        for panel, (key, title, unit) in zip(
            panels, (REWARD, SAMPLED_ENTROPY if sampled else POLICY_ENTROPY, LENGTH), strict=True
        ):
            lacking = []
            for index, method in enumerate(comparison.methods):
                look, drawn = drawing.look(index, method.name, comparison.baseline), len(panel.lines)
                lines.draw_metric(
                    panel, method, key, look, detailed=len(comparison.methods) <= lines.MOST_DETAILED_METHODS
                )
                if len(panel.lines) == drawn:
                    lacking.append(method.name)
            drawing.name_lacking(panel, key, lacking)
            panel.set_title(title)
            panel.set_xlabel("training step")
            panel.set_ylabel(unit)
            panel.xaxis.set_major_locator(drawing.locator(integer=True))
            panel.margins(x=0.02)
        figure.suptitle(f"Thick: {TWENTIETH}")
        drawing.legend(figure, *panels)
        return figure


def effective_figure(comparison: Comparison) -> Figure | None:
    """Draw the share of effective groups in the train batches against steps, wall time and generated tokens.

    Seeds are averaged, the line is a trailing mean over a tenth of the steps. None where no run recorded it.
    """
    key = metric_means.EFFECTIVE_GROUPS
    methods = [method for method in comparison.methods if any(key in run.rows for run in method.runs)]
    if not methods:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES)
        panels = figure.subplots(1, 3, sharey=True)
        seconds, unit = _time_unit(methods)
        lacking: tuple[list[str], ...] = ([], [], [])
        for index, method in enumerate(comparison.methods):
            if method not in methods:
                continue
            columns = ["step", "wall_seconds", "generated_tokens", key]
            rows = pd.concat([run.rows[columns] for run in method.runs if key in run.rows]).dropna(subset=key)
            # A step's cost is of all seeds that it is the share of, or not known.
            mean = rows.groupby("step").agg(lambda values: values.mean(skipna=False))
            share = 100 * mean[key].rolling(max(1, round(len(mean) / 10)), min_periods=1).mean()
            costs = (mean.index, mean["wall_seconds"] / seconds, mean["generated_tokens"])
            for panel, cost, without in zip(panels, costs, lacking, strict=True):
                if not np.isfinite(cost).any():
                    without.append(method.name)
                    continue
                look = drawing.look(index, method.name, comparison.baseline)
                panel.plot(cost, share, label=drawing.name(method), markersize=6, markevery=5, **look)
        names = ("training step", f"wall time with validation ({unit})", "generated tokens")
        for panel, name, without in zip(panels, names, lacking, strict=True):
            drawing.name_lacking(panel, name, without)
            panel.set_xlabel(name)
            panel.set_ylim(0, 100)
            panel.xaxis.set_major_locator(drawing.locator())
        panels[2].xaxis.set_major_formatter(EngFormatter(sep=" "))
        panels[0].set_ylabel("effective groups (%)")
        figure.suptitle(f"Groups whose rollouts differ in reward, {TENTH}")
        drawing.legend(figure, panels[0])
        return figure


def replay_figure(comparison: Comparison) -> Figure | None:
    """Draw how much is replayed, how far the policy has moved since by age, and what the loss clips of it.

    Seeds are averaged, lines over steps are trailing means over a tenth of them. None where nothing was replayed.
    """
    methods = [method for method in comparison.methods if any(REPLAYED_SHARE in run.rows for run in method.runs)]
    if not methods:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES)
        share, moved, clipped = figure.subplots(1, 3)
        for index, method in enumerate(comparison.methods):
            if method not in methods:
                continue
            look = drawing.look(index, method.name, comparison.baseline)
            rows = pd.concat([run.rows for run in method.runs])
            mean = rows.groupby("step").mean(numeric_only=True)
            smoothed = mean.rolling(max(1, round(len(mean) / 10)), min_periods=1).mean()
            share.plot(mean.index, 100 * smoothed[REPLAYED_SHARE], label=drawing.name(method), markevery=5, **look)
            known = [age for age in AGES if AGE_KEY.format(age) in rows]
            ages = look | {"linestyle": "", "marker": look["marker"] or "o"}  # unequal bins: nothing joins them
            moved.plot(known, [rows[AGE_KEY.format(age)].mean() for age in known], **ages)
            for kind, line in (("fresh", ":"), ("replayed", "-")):
                if (key := f"loss/{kind}/clip_share") in smoothed:
                    label = f"{drawing.name(method)}, {kind}"
                    clipped.plot(mean.index, 100 * smoothed[key], line, color=look["color"], label=label)
        figure.suptitle(f"Over steps: {TENTH}")
        share.set_ylim(0, 100)
        moved.set_ylim(bottom=0)
        for panel, labels in ((share, SHARE_LABELS), (moved, MOVED_LABELS), (clipped, CLIPPED_LABELS)):
            panel.set(**dict(zip(("title", "xlabel", "ylabel"), labels, strict=True)))
        drawing.legend(figure, share, clipped)
        return figure


def controller_figure(comparison: Comparison) -> Figure | None:
    """Draw the policy's entropy with and without a controlled temperature, that temperature, and the entropy it is for.

    Drawn as in `training_figure`; the dotted line is the target. None where no temperature was controlled.
    """
    if not any(TEMPERATURE in run.rows for method in comparison.methods for run in method.runs):
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES)
        panels = figure.subplots(1, 2)
        detailed = len(comparison.methods) <= lines.MOST_DETAILED_METHODS
        for index, method in enumerate(comparison.methods):
            look = drawing.look(index, method.name, comparison.baseline)
            for panel, (key, *_) in zip(panels, CONTROLLER_PANELS, strict=True):
                lines.draw_metric(panel, method, key, look, detailed)
            target = [run.rows.set_index("step")[TARGET] for run in method.runs if TARGET in run.rows]
            if target:
                mean = pd.concat(target, axis=1).dropna().mean(axis=1)
                panels[0].plot(
                    mean.index, mean, ":", color=look["color"], label=f"{drawing.plain(method.name)}'s target"
                )
        for panel, (_, title, unit) in zip(panels, CONTROLLER_PANELS, strict=True):
            panel.set(title=title, xlabel="training step", ylabel=unit)
            panel.margins(x=0.02)
        figure.suptitle(f"Thick: {TWENTIETH}")
        drawing.legend(figure, *panels)
        return figure


def _time_unit(methods: Sequence[MethodSummary]) -> tuple[float, str]:
    longest = [method.mean.wall_seconds_E[-1] for method in methods if np.isfinite(method.mean.wall_seconds_E[-1])]
    return drawing.time_unit(max(longest, default=0.0))
