"""What a predictor sees of the questions: the embedding, and behind it what the texts look like.

online        embedding, surface columns
attention     embedding, surface columns, hashed words: with thousands of labels the words say something, too
"""

from collections.abc import Sequence

import numpy as np

from verl_dots.difficulty import surface, words

VERSION = f"surface-{surface.VERSION}-words-{words.FORMAT}"


def online_inputs(embedding_P: np.ndarray, texts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    """[P, d + s] float32 from embeddings [P, d]; see `surface`."""
    return _beside(embedding_P, surface.surface_columns(texts, answers))


def trained_inputs(embedding_P: np.ndarray, texts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    """[P, sum(widths)] float32 from embeddings [P, d]; see `widths`."""
    return _beside(embedding_P, surface.surface_columns(texts, answers), words.hashed_words(texts, answers))


def widths(embedding_width: int, version: str) -> tuple[int, ...]:
    """Columns of the parts that a trained predictor sees, the embedding's first; it alone for version "".

    Raises:
        ValueError: columns of another version than those that are made here.
    """
    if version not in ("", VERSION):
        raise ValueError(f"the surface columns are of version {version!r}, here they are {VERSION!r}; train it again")
    return (embedding_width, len(surface.COLUMNS), words.WIDTH) if version else (embedding_width,)


def _beside(embedding_P: np.ndarray, *parts_P: np.ndarray) -> np.ndarray:
    """The parts side by side, without a second copy of the embeddings on the way."""
    return np.concatenate([embedding_P, *parts_P], axis=1, dtype=np.float32)
