"""How good predictions are, and what they have to beat."""

from collections.abc import Callable, Iterator

import numpy as np

from verl_dots.difficulty.agreement import calibration_error, pearson, pearson_interval, uniform_pearson
from verl_dots.difficulty.effectiveness import TRIES
from verl_dots.step import effective_share

CHOSEN = 256  # questions, as a round of selection draws them
# Share of effective groups: among the CHOSEN of difficulty nearest to 0.5, and of greatest expected effectiveness.
SCORES = (
    "rho", "rho_low", "rho_high", "rho_uniform", "bias", "calibration_error", "effective_nearest", "effective",
)  # fmt: skip


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
    """`SCORES` of each draw.

    Args:
        predict: of reference positions [K] and query positions [Q]: difficulties [Q], or [Q, 2] with the expected share
            of effective groups beside them.
    """
    found: dict[str, list[float]] = {name: [] for name in SCORES}
    for draw, (known, asked) in enumerate(reference_draws(len(difficulty_P), references, draws, seed)):
        for name, value in score(
            predict(known, asked), difficulty_P[asked], np.random.default_rng([seed, draw])
        ).items():
            found[name].append(value)
    return found


def score(predicted: np.ndarray, measured_Q: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """`SCORES` of predictions [Q] or [Q, 2]; "effective" is nan where difficulty alone is predicted."""
    difficulty_Q = difficulty_of(predicted)
    low, high = pearson_interval(difficulty_Q, measured_Q, rng)
    nearest = effective_among_chosen(-np.abs(difficulty_Q - 0.5), measured_Q)
    return {
        # A constant prediction orders nothing.
        "rho": float(np.nan_to_num(pearson(difficulty_Q, measured_Q))),
        "rho_low": low,
        "rho_high": high,
        "rho_uniform": float(np.nan_to_num(uniform_pearson(difficulty_Q, measured_Q))),
        "bias": float(difficulty_Q.mean() - measured_Q.mean()),
        "calibration_error": calibration_error(difficulty_Q, measured_Q),
        "effective_nearest": nearest,
        "effective": effective_among_chosen(predicted[:, 1], measured_Q) if predicted.ndim == 2 else float("nan"),
    }


def difficulty_of(predicted: np.ndarray) -> np.ndarray:
    """[Q] of predictions [Q] or [Q, 2], which have the expected share of effective groups beside them."""
    return predicted if predicted.ndim == 1 else predicted[:, 0]


def effective_among_chosen(score_Q: np.ndarray, measured_Q: np.ndarray, chosen: int = CHOSEN) -> float:
    """Expected share of effective groups of `TRIES` tries among the questions of the greatest scores."""
    return float(effective_share(measured_Q, TRIES)[np.argsort(-score_Q, kind="stable")[:chosen]].mean())


def truth(measured_P: np.ndarray) -> dict[str, float]:
    """What the scores depend on besides the predictor: how many questions, and the spread of their difficulty."""
    effective_P = effective_share(measured_P, TRIES)
    return {
        "questions": len(measured_P),
        "mean": float(measured_P.mean()),
        "std": float(measured_P.std()),
        "at_0": float((measured_P == 0).mean()),
        "at_1": float((measured_P == 1).mean()),
        "effective_random": float(effective_P.mean()),
        "effective_perfect": effective_among_chosen(effective_P, measured_P),
    }


def off_the_shelf(embedding_P: np.ndarray, difficulty_P: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Softmax attention of the untouched embeddings, scaled by sqrt(d): the paper's baseline."""

    def predict(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        score_PK = embedding_P[asked] @ embedding_P[known].T / np.sqrt(embedding_P.shape[1])
        weight_PK = np.exp(score_PK - score_PK.max(1, keepdims=True))
        return weight_PK @ difficulty_P[known] / weight_PK.sum(1)

    return predict
