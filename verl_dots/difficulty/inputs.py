"""What a predictor sees of the questions: the embedding, and behind it what the texts look like.

online        embedding, surface columns, columns of a difficulty known beforehand
attention     embedding, surface columns, hashed words: with thousands of labels the words say something, too
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from verl_dots.difficulty import surface, words

VERSION = f"surface-{surface.VERSION}-words-{words.FORMAT}"
KNOWN = ("value", "rank")  # columns of a difficulty known beforehand


def online_inputs(
    embedding_P: np.ndarray,
    texts: Sequence[str] | None,
    answers: Sequence[str] | None,
    known_P: np.ndarray | None = None,
) -> np.ndarray:
    """[P, d + s + k] float32 from embeddings [P, d].

    Args:
        texts, answers: of which `surface` makes its columns; None for none.
        known_P: [P] difficulties known beforehand, see `known_columns`; None for none.
    """
    parts = [] if texts is None else [surface.surface_columns(texts, answers)]
    parts += [] if known_P is None else [known_columns(known_P)]
    return _beside(embedding_P, *parts) if parts else embedding_P


def trained_inputs(embedding_P: np.ndarray, texts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    """[P, sum(widths)] float32 from embeddings [P, d]; see `widths`."""
    return _beside(embedding_P, surface.surface_columns(texts, answers), words.hashed_words(texts, answers))


def known_columns(known_P: np.ndarray) -> np.ndarray:
    """[P, 2] of difficulties in any unit, greater is harder: the standardised value, and the rank from 0 to 1.

    The rank serves units whose steps mean little, such as a level from 1 to 10 or a few values far out. Equal
    difficulties share the mean of their ranks.
    """
    value_P = np.asarray(known_P, dtype=np.float64)
    deviation = value_P.std()
    standard_P = (value_P - value_P.mean()) / deviation if deviation else np.zeros(len(value_P))
    return np.column_stack([standard_P, (rankdata(value_P) - 0.5) / max(len(value_P), 1)]).astype(np.float32)


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
