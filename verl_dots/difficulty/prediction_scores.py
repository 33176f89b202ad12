"""How good predictions are, and what they have to beat."""

from collections.abc import Callable, Iterator

import numpy as np

from verl_dots.difficulty.agreement import calibration_error, pearson


def check_references(questions: int, references: int) -> None:
    """Raise ValueError unless references can be drawn and leave at least two questions to score."""
    if not 1 <= references <= questions - 2:
        raise ValueError(
            f"{references} references of {questions} held-out questions: allowed are 1 to {questions - 2}; "
            "lower --references or give more labels"
        )


def reference_draws(questions: int, references: int, draws: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of the references [K] and of all other questions [P - K], one pair per draw."""
    check_references(questions, references)
    for draw in range(draws):
        order = np.random.default_rng([seed, draw]).permutation(questions)
        yield order[:references], order[references:]


def score_draws(
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray],
    difficulty_P: np.ndarray,
    references: int = 256,
    draws: int = 5,
    seed: int = 0,
) -> dict[str, list[float]]:
    """rho and calibration error of each draw; ``predict(reference positions, query positions)`` -> difficulty."""
    found: dict[str, list[float]] = {"rho": [], "calibration_error": []}
    for known, asked in reference_draws(len(difficulty_P), references, draws, seed):
        predicted = predict(known, asked)
        # A constant prediction orders nothing.
        found["rho"].append(float(np.nan_to_num(pearson(predicted, difficulty_P[asked]))))
        found["calibration_error"].append(calibration_error(predicted, difficulty_P[asked]))
    return found


def off_the_shelf(embedding_P: np.ndarray, difficulty_P: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Softmax attention of the untouched embeddings, scaled by sqrt(d): the paper's baseline."""

    def predict(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        score_PK = embedding_P[asked] @ embedding_P[known].T / np.sqrt(embedding_P.shape[1])
        weight_PK = np.exp(score_PK - score_PK.max(1, keepdims=True))
        return weight_PK @ difficulty_P[known] / weight_PK.sum(1)

    return predict


def ridge(embedding_N: np.ndarray, difficulty_N: np.ndarray, penalty: float = 1000.0) -> Callable:
    """Linear regression on standardised embeddings of labelled questions -> difficulty of embeddings."""
    mean, std = embedding_N.mean(0), np.maximum(embedding_N.std(0), 1e-3)
    x = (embedding_N - mean) / std
    weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (difficulty_N - difficulty_N.mean()))
    return lambda embedding_P: ((embedding_P - mean) / std) @ weight + difficulty_N.mean()
