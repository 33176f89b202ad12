"""Scores of freshly trained predictors on the test part of their labels, and of the baselines."""

import argparse
from collections.abc import Callable, Sequence

import numpy as np

from verl_dots.difficulty import evaluate
from verl_dots.difficulty.labeller_scores import score_labellers
from verl_dots.difficulty.labels import Labels
from verl_dots.difficulty.prediction_scores import off_the_shelf, ridge, score_draws
from verl_dots.difficulty.training import Trained


def score_methods(
    trained: Sequence[Trained], embedding_P: np.ndarray, labels: Labels, test_P: np.ndarray, options: argparse.Namespace
) -> dict[str, evaluate.Scores]:
    """rho and calibration error of every method, baselines first, over the labellers of these labels."""
    test = labels.take(np.flatnonzero(test_P))
    linear = ridge(embedding_P[~test_P], 1 - labels.success_rate_P[~test_P])(embedding_P[test_P])
    scores: dict[str, list[evaluate.Scores]] = {}
    for _, asked_N, difficulty_N in test.by_labeller():
        embedding_N, linear_N = embedding_P[test_P][asked_N], linear[asked_N]
        methods = {
            evaluate.OFF_THE_SHELF: [off_the_shelf(embedding_N, difficulty_N)],
            "ridge regression": [lambda known, asked, linear_N=linear_N: linear_N[asked]],
            f"predictor ({options.preset})": _predictors_of(trained)(embedding_N, difficulty_N),
        }
        for name, predictors in methods.items():
            found = [score_draws(one, difficulty_N, options.references, options.draws) for one in predictors]
            scores.setdefault(name, []).extend(found)
    return {name: evaluate.merge(found) for name, found in scores.items()}


def score_by_labeller(
    trained: Sequence[Trained], embedding_P: np.ndarray, labels: Labels, test_P: np.ndarray, options: argparse.Namespace
) -> dict[str, dict[str, list[float]]]:
    """rho, bias and calibration error of the predictors for each labeller of these labels."""
    test = labels.take(np.flatnonzero(test_P))
    return score_labellers(_predictors_of(trained), embedding_P[test_P], test, options.references, options.draws)


def _predictors_of(trained: Sequence[Trained]) -> Callable:
    return lambda embedding_N, difficulty_N: [
        evaluate.predictor_of(one.model, embedding_N, difficulty_N) for one in trained
    ]
