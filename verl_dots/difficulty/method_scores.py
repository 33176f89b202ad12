"""Every method scored on the same questions and references: the baselines, and predictors of several seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from verl_dots.difficulty import baselines, inputs
from verl_dots.difficulty.effectiveness import TRIES
from verl_dots.difficulty.labeller_scores import score_labellers
from verl_dots.difficulty.labels import Labels
from verl_dots.difficulty.model import AttentionPredictor
from verl_dots.difficulty.prediction_scores import off_the_shelf, score_draws

OFF_THE_SHELF = "attention over the untouched embeddings"
Scores = dict[str, list[float]]


@dataclass(frozen=True)
class Seen:
    """What the methods see of P questions.

    Attributes:
        embedding_P: [P, d].
        input_P: [P, d], of the predictors.
        columns: [P, c] of each baseline.
    """

    embedding_P: np.ndarray
    input_P: np.ndarray
    columns: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, embedding_P: np.ndarray, labels: Labels, surface: bool) -> Self:
        """Of the questions of some labels; `surface`: whether the predictors see more than the embedding."""
        input_P = inputs.trained_inputs(embedding_P, labels.texts, labels.answers) if surface else embedding_P
        return cls(embedding_P, input_P, baselines.columns_of(embedding_P, labels.texts, labels.answers))

    def at(self, index_N: np.ndarray) -> Self:
        """Of some of the questions, by position or as bool."""
        columns = {name: column_P[index_N] for name, column_P in self.columns.items()}
        return type(self)(self.embedding_P[index_N], self.input_P[index_N], columns)


@dataclass(frozen=True)
class Draws:
    """How often references are drawn, and how many."""

    references: int
    draws: int


def score_methods(
    models: Sequence[AttentionPredictor],
    fitted: Mapping[str, baselines.Ridge],
    seen: Seen,
    labels: Labels,
    drawn: Draws,
    name: str = "predictor",
) -> dict[str, Scores]:
    """`prediction_scores.SCORES` of every method, baselines first, over the labellers, seeds and draws.

    Args:
        seen, labels: of the same questions.
        name: of the predictors in the result.
    """
    scores: dict[str, list[Scores]] = {}
    for _, asked_N, difficulty_N in labels.by_labeller():
        own = seen.at(asked_N)
        methods = {
            OFF_THE_SHELF: [off_the_shelf(own.embedding_P, difficulty_N)],
            **{baseline: [fixed(one(own.columns[baseline]))] for baseline, one in fitted.items()},
            name: [predictor_of(model, own.input_P, difficulty_N) for model in models],
        }
        for method, predictors in methods.items():
            found = [score_draws(one, difficulty_N, drawn.references, drawn.draws) for one in predictors]
            scores.setdefault(method, []).extend(found)
    return {method: merge(found) for method, found in scores.items()}


def score_by_labeller(
    models: Sequence[AttentionPredictor], seen: Seen, labels: Labels, drawn: Draws
) -> dict[str, dict[str, list[float]]]:
    """rho, bias and calibration error of the predictors for each labeller of these labels."""

    def predictors(input_N: np.ndarray, difficulty_N: np.ndarray) -> list[Callable]:
        return [predictor_of(model, input_N, difficulty_N) for model in models]

    return score_labellers(predictors, seen.input_P, labels, drawn.references, drawn.draws)


def merge(scores_of_seeds: Sequence[Scores]) -> Scores:
    """Scores of several seeds as one list of draws."""
    return {name: [value for scores in scores_of_seeds for value in scores[name]] for name in scores_of_seeds[0]}


def predictor_of(model: AttentionPredictor, input_P: np.ndarray, difficulty_P: np.ndarray) -> Callable:
    """predict(reference positions, query positions) for `prediction_scores.score_draws`, from the model's inputs."""
    with torch.inference_mode():
        device = next(model.parameters()).device
        embedding = torch.as_tensor(np.array(input_P, dtype=np.float32), device=device)
        difficulty = torch.as_tensor(np.array(difficulty_P, dtype=np.float32), device=device)
        chunks = embedding.split(2048)
        query = torch.cat([model.project_queries(chunk) for chunk in chunks])
        reference = torch.cat([model.project_references(chunk) for chunk in chunks])

    def predict(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        found = model.predict(query[asked], reference[known], difficulty[known], query[known])
        if model.config.direct_head:
            found = torch.stack([found, model.expected_effectiveness(query[asked], found, TRIES)], 1)
        return found.cpu().double().numpy()

    return predict


def fixed(predicted_P: np.ndarray) -> Callable:
    """predict(reference positions, query positions) of what does not look at the references."""
    return lambda known, asked: predicted_P[asked]
