"""What a trained predictor has to beat: linear regressions on one part of what it sees.

Fitted on the same training questions, and kept beside the predictor for `evaluate`. Each gives difficulty and share of
effective groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from verl_dots.difficulty.effectiveness import TRIES
from verl_dots.difficulty.surface import surface_columns
from verl_dots.difficulty.words import hashed_words
from verl_dots.files import write_atomically
from verl_dots.settings import Refusal
from verl_dots.state import UNREADABLE
from verl_dots.step import effective_share

FILE = "baselines.safetensors"
EMBEDDING, SURFACE, WORDS = "ridge on embeddings", "ridge on surface columns", "ridge on words (TF-IDF)"
STORED = {EMBEDDING: "ridge regression"}  # name in the files, where it is another
PENALTY = {EMBEDDING: 1000.0, SURFACE: 100.0, WORDS: 10_000.0}
WORDS_WIDTH = 2048


@dataclass(frozen=True)
class Ridge:
    """Linear regression on standardised columns: mean and scale [d], weight [d, T], bias [T]."""

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, column_P: np.ndarray) -> np.ndarray:
        """Targets [P, T] of columns [P, d]."""
        return ((column_P - self.mean) / self.scale) @ self.weight + self.bias


def ridge(column_N: np.ndarray, target_N: np.ndarray, penalty: float = 1000.0) -> Ridge:
    """Fit to columns [N, d] and targets [N] or [N, T]."""
    mean, scale = column_N.mean(0), np.maximum(column_N.std(0), 1e-3)
    x = (column_N - mean) / scale
    weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (target_N - target_N.mean(0)))
    return Ridge(mean, scale, weight, np.asarray(target_N.mean(0)))


def columns_of(embedding_P: np.ndarray, texts: Sequence[str], answers: Sequence[str]) -> dict[str, np.ndarray]:
    """What each baseline sees of the questions."""
    word_P = hashed_words(texts, answers, WORDS_WIDTH)
    # Long questions have many words: rows of length one. Standardising the columns then is the inverse frequency.
    word_P /= np.maximum(np.linalg.norm(word_P, axis=1, keepdims=True), 1e-6)
    return {EMBEDDING: embedding_P, SURFACE: surface_columns(texts, answers), WORDS: word_P}


def fit(columns: Mapping[str, np.ndarray], difficulty_N: np.ndarray) -> dict[str, Ridge]:
    """Every baseline, on what it sees of the training questions."""
    target_N = np.stack([difficulty_N, effective_share(difficulty_N, TRIES)], 1)
    return {name: ridge(column_N, target_N, PENALTY[name]) for name, column_N in columns.items()}


def save(folder: Path, fitted: Mapping[str, Ridge]) -> None:
    """Write the fitted baselines of a predictor's folder."""
    parts = [field.name for field in fields(Ridge)]
    tensors = {
        f"{STORED.get(name, name)}/{part}": np.ascontiguousarray(getattr(one, part), dtype=np.float32)
        for name, one in fitted.items()
        for part in parts
    }
    write_atomically(folder / FILE, lambda partial: save_file(tensors, partial))


def load(folder: Path) -> dict[str, Ridge]:
    """What `save` wrote. Raises Refusal where that is not there, or damaged."""
    try:
        tensors = load_file(folder / FILE)
        stored = dict.fromkeys(key.rsplit("/", 1)[0] for key in sorted(tensors))
        now = {earlier: name for name, earlier in STORED.items()}
        parts = [field.name for field in fields(Ridge)]
        return {now.get(name, name): Ridge(*(tensors[f"{name}/{part}"] for part in parts)) for name in stored}
    except (SafetensorError, OSError, *UNREADABLE) as error:
        text = f"{folder / FILE} is damaged or missing ({error}); train the predictor again"
        raise Refusal(text, key=str(folder / FILE), reason="damaged") from error
