"""Small evidence, written by hand."""

import pandas as pd

from verl_dots.evidence.figures.style import looks
from verl_dots.evidence.figures.training import training_figures
from verl_dots.evidence.measures import saved_column
from verl_dots.evidence.records import RUN_COLUMNS, Evidence

MATH = "Tiny on MATH"


def rows(method="grpo", seed=1, *, combination=MATH, kind="accuracy", steps=6, **columns):
    """Rows of a run: accuracy 0.1, 0.2, ... at every second step, 10 s and 100 tokens a step.

    Args:
        columns: metric, with "__" for "/", -> function of the step; None is nan.
    """
    table = pd.DataFrame({"step": range(steps + 1)})
    table["accuracy"] = [0.1 * (1 + step // 2) if step % 2 == 0 else None for step in table["step"]]
    table["train_seconds"], table["generated_tokens"] = 10.0 * table["step"], 100 * table["step"]
    for name, value in columns.items():
        table[name.replace("__", "/")] = pd.Series([value(step) for step in table["step"]], dtype=float)
    return table.assign(combination=combination, method=method, seed=seed, kind=kind)


def evidence(*runs):
    """The evidence of runs' rows."""
    keys = [run[["combination", "method", "seed", "kind"]].iloc[0].to_dict() for run in runs]
    table = pd.DataFrame([key | dict.fromkeys(RUN_COLUMNS, "") for key in keys])
    return Evidence(pd.concat(runs, ignore_index=True), table)


def by_seed_of(found, ratios=None, source="time"):
    """What `measures` says of the time of a step: method -> ratio, 1 for all others."""
    runs = found.runs[["combination", "method", "seed"]].drop_duplicates()
    ratio = runs["method"].map(lambda method: (ratios or {}).get(method, 1.0))
    return runs.assign(baseline="grpo", step_ratio=ratio, step_source=source).reset_index(drop=True)


def summary_of(*saved):
    """Rows (combination, method, what, mean, low, high, seeds, reached) of `summary`, for the first reach."""
    names = ("combination", "method", "measure", "mean", "low", "high", "seeds", "reached")
    return pd.DataFrame(
        [(one, two, saved_column(what, hold="first"), *rest) for one, two, what, *rest in saved], columns=names
    )


def drawn(*runs, ratios=None, source="time", smoothing="none"):
    """All figures over training of runs' rows, by name."""
    found = evidence(*runs)
    steps = found.steps[found.steps["kind"] == "accuracy"]
    return training_figures(steps, by_seed_of(found, ratios, source), looks(found.runs["method"]), smoothing)


def line(axis, label):
    """(x, y) of a method's line."""
    (found,) = [one for one in axis.lines if one.get_label() == label]
    return found.get_xdata().tolist(), found.get_ydata().tolist()


def legend(figure):
    """The labels of a figure's legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def above(figure):
    """The lines above a figure."""
    return figure.get_suptitle().split("\n")
