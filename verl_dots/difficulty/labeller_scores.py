"""Predictions scored labeller by labeller: order, level and calibration of one policy's difficulties each.

rho says whether the questions of a labeller are ordered right. bias, the mean of predicted - measured difficulty, says
whether its level is: above 0, questions are taken to be harder than they are for it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from rich.table import Table

from verl_dots.difficulty.agreement import calibration_error, pearson
from verl_dots.difficulty.labels import Labels
from verl_dots.difficulty.prediction_scores import check_references, difficulty_of, reference_draws
from verl_dots.settings import ConfigError

SCORES = ("rho", "bias", "calibration_error")
Predictors = Callable[[np.ndarray, np.ndarray], Sequence[Callable]]


def check_labellers(labels: Labels, references: int) -> None:
    """Raise ConfigError naming the first labeller who was asked too few of these questions to draw the references."""
    for name, asked_N, _ in labels.by_labeller():
        try:
            check_references(len(asked_N), references)
        except ValueError as error:
            raise ConfigError(f"labeller {name!r}: {error}", key="--references", reason="size") from error


def score_labellers(
    predictors: Predictors, embedding_P: np.ndarray, labels: Labels, references: int, draws: int
) -> dict[str, dict[str, list[float]]]:
    """rho, bias and calibration error of each draw and predictor, by labeller; see `score_draws` for the draws.

    Args:
        predictors: (embedding_N, difficulty_N) of the questions of a labeller -> predict(reference positions, query
            positions) -> difficulty, one for each seed.
    """
    scores = {}
    for name, asked_N, difficulty_N in labels.by_labeller():
        found: dict[str, list[float]] = {score: [] for score in SCORES}
        for predict in predictors(embedding_P[asked_N], difficulty_N):
            for known, asked in reference_draws(len(asked_N), references, draws, seed=0):
                predicted, measured = difficulty_of(predict(known, asked)), difficulty_N[asked]
                # A constant prediction orders nothing.
                found["rho"].append(float(np.nan_to_num(pearson(predicted, measured))))
                found["bias"].append(float(np.mean(predicted - measured)))
                found["calibration_error"].append(calibration_error(predicted, measured))
        scores[name] = found
    return scores


def labeller_table(scores: Mapping[str, Mapping[str, Sequence[float]]], held_out: Sequence[str] = ()) -> Table:
    """One row per labeller: mean and standard deviation of the scores; those held out of training are marked."""
    view = Table(title="the predictor by labeller")
    for column in ("labeller", *SCORES):
        view.add_column(column.replace("_", " "), justify="left" if column == "labeller" else "right")
    for name, found in scores.items():
        cells = (f"{np.mean(found[score]):.3f} ± {np.std(found[score]):.3f}" for score in SCORES)
        view.add_row(f"{name} (held out)" if name in held_out else name, *cells)
    return view
