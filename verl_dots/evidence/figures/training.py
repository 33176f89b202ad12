"""What is drawn over training: accuracy against costs, effective questions, predictions, replay, entropy, target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from verl_dots.evidence.curves import SMOOTHING_TOLD, at_common_steps, with_smoothed
from verl_dots.evidence.figures.curves import Curve, draw
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.style import looks
from verl_dots.evidence.methods import Look
from verl_dots.evidence.records import RUN_KEY, TIMING_RUN

ACCURACY = "accuracy"
TIME = "time"  # column that `with_time` adds
ACCURACY_AGAINST = (
    Curve("steps", (ACCURACY,), "Validation accuracy", "accuracy (%)", scale=100, of_all=True),
    Curve(
        "time", (ACCURACY,), "Validation accuracy", "accuracy (%)", TIME, scale=100, of_all=True, unknown="not timed",
    ),
    Curve(
        "tokens", (ACCURACY,), "Validation accuracy", "accuracy (%)", "generated_tokens", "generated tokens", scale=100,
        of_all=True,
    ),
)  # fmt: skip
EFFECTIVE = Curve(
    "effective", ("training/effective_groups",), "Effective questions, of those trained on for the first time",
    "questions (%)", scale=100, smoothed=0.1, of_all=True,
)  # fmt: skip
RHO = Curve(
    "rho", ("selection/reference/rho", "selection/explored/rho", "mopps/rho"),
    "Correlation of predicted and measured difficulty", "Pearson's rho",
)  # fmt: skip
REPLAY = (
    Curve("share", ("replay/share",), "Replayed groups of a batch", "groups (%)", scale=100, smoothed=0.1),
    Curve("age", ("replay/age/mean",), "Mean age of replayed groups", "steps", smoothed=0.1,
          now_and_then=True),
)  # fmt: skip
# The first that most methods have; the two are not compared with each other.
ENTROPIES = (
    Curve("entropy", ("training/sampled_entropy",), "Entropy of the rollouts, by their own log-probs",
          "nats per token", smoothed=0.1, of_all=True),
    Curve("entropy", ("actor/entropy",), "Entropy by the forward pass before the update", "nats per token",
          smoothed=0.1, of_all=True),
)  # fmt: skip
TEMPERATURE = Curve("temperature", ("temperature/temperature",), "Sampling temperature", "temperature")
PREDICTED_TARGET = "target by prediction"  # column that `by_unit` adds
ADARFT = (
    Curve(
        "target", ("adarft/target",), "Target, in the unit of the difficulties that the data have", "difficulty given"
    ),
    Curve(
        "predicted_target", (PREDICTED_TARGET,), "Target, a predicted share of wrong rollouts", "predicted difficulty"
    ),
    Curve("reward", ("adarft/reward",), "Reward that moves the target", "mean reward", smoothed=0.1),
)


def training_figures(
    steps: pd.DataFrame, by_seed: pd.DataFrame, of_method: Mapping[str, Look], smoothing: str
) -> dict[str, Drawn]:
    """File name -> figure or reason, of all that is drawn over training.

    Args:
        steps: rows of `Evidence.steps` that count for accuracy.
        by_seed: see `measures`.
        of_method: looks of all methods.
        smoothing: of validations, see `measuring.Measured`.
    """
    compared, _ = at_common_steps(steps, by_seed["baseline"].iloc[0], smoothing)
    timed, labels = with_time(with_smoothed(compared, smoothing), by_seed)
    against = [
        replace(curve, told=SMOOTHING_TOLD[smoothing], x_labels=labels if curve.x == TIME else {})
        for curve in ACCURACY_AGAINST
    ]
    entropy = max(ENTROPIES, key=lambda curve: _methods_with(steps, curve.columns[0]))
    return {
        **draw(timed, of_method, "accuracy", against),
        **draw(steps, of_method, "effective", [EFFECTIVE]),
        **draw(steps, of_method, "rho", [RHO]),
        **draw(steps, of_method, "replay", REPLAY),
        **draw(steps, of_method, "entropy", [entropy]),
        **draw(steps, of_method, "temperature", [TEMPERATURE]),
        **draw(by_unit(steps), of_method, "adarft", ADARFT),
    }


def by_unit(steps: pd.DataFrame) -> pd.DataFrame:
    """Steps with AdaRFT's targets in two columns: in the unit of the data, and as predicted difficulty in [0, 1].

    A run that predicts difficulties has its target in them, from its first prediction on: before it some runs log a
    target that nothing is held against, and others none.
    """
    target, predicted = "adarft/target", "selection/predicted_difficulty"
    if target not in steps or predicted not in steps:
        return steps
    runs = [steps[name] for name in RUN_KEY]
    first = steps["step"].where(steps[predicted].notna()).groupby(runs).transform("min")  # nan: predicts nothing
    in_data, among_predictions = first.isna(), steps["step"] >= first
    return steps.assign(
        **{target: steps[target].where(in_data), PREDICTED_TARGET: steps[target].where(among_predictions)}
    )


def with_time(steps: pd.DataFrame, by_seed: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Steps with the training time at them, in steps of the baseline, and the name of that time by combination.

    A method's time is its steps by `step_ratio` of `by_seed`, the mean over its seeds; without one it is nan. The name
    says so where a ratio is of runs that were not timed alone.
    """
    ratios = by_seed.groupby(["combination", "method"])["step_ratio"].mean().rename("ratio").reset_index()
    of_step = steps[["combination", "method"]].merge(ratios, how="left", on=["combination", "method"])
    timed = steps.assign(**{TIME: steps["step"] * of_step["ratio"].to_numpy()})
    labels = {}
    for combination, rows in by_seed.groupby("combination"):
        (baseline,) = looks(rows["baseline"].head(1)).values()
        alone = rows["step_source"].isin([TIMING_RUN, ""]).all()  # "": not timed at all
        labels[combination] = f"training time (steps of {baseline.label})" + ("" if alone else ",\nnot timed alone")
    return timed, labels


def _methods_with(steps: pd.DataFrame, column: str) -> int:
    return steps.loc[steps[column].notna(), "method"].nunique() if column in steps else 0
