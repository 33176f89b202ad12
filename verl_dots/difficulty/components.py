"""What a regression sees of questions: principal components of their embeddings and of the parts behind them."""

from collections.abc import Sequence

import numpy as np

WIDTH = 256  # principal components
SAMPLE = 16384  # questions that they are computed from
WIDE = 4096  # columns; of wider embeddings so many questions are taken, as the work grows with the cube of the fewer
SHARE = 0.5  # of the squared length of a part behind the embedding and all before it
RARE = 0.05  # least deviation of a column behind the embedding: a mark of 1 in 400 questions weighs no more


def principal_components(embedding_P: np.ndarray, width: int = WIDTH, behind: Sequence[int] = ()) -> np.ndarray:
    """Features [P, w + 1] of embeddings [P, d]: leading principal components of the standardised columns, and a 1.

    The components keep their spread, so that a ridge penalty on them is one on the embeddings; together they have a
    mean squared length of 1. w is `width`, or less where the embeddings have less. `behind` are the widths of the
    parts behind the embedding. The last part has `SHARE` of the squared length, however few its columns are, the one
    before it that share of the rest, and the embedding what is left.
    """
    wide = embedding_P.shape[1] > WIDE
    count = min(WIDE if wide else SAMPLE, len(embedding_P))
    sample = embedding_P[np.linspace(0, len(embedding_P) - 1, count).astype(int)]
    mean, deviation = sample.mean(0, dtype=np.float64), sample.std(0, dtype=np.float64)
    scale = np.where(deviation > 1e-6 * max(deviation.max(), 1e-30), deviation, np.inf)
    end, left = len(scale), 1.0
    for columns in reversed(behind):
        part, end = slice(end - columns, end), end - columns
        scale[part] = np.maximum(deviation[part], RARE)
        _share_out(scale, deviation, part, SHARE * left)
        left *= 1 - SHARE
    if behind:
        _share_out(scale, deviation, slice(0, end), left)
    standard = (sample - mean) / scale
    spread, axes = np.linalg.eigh((standard @ standard.T if wide else standard.T @ standard) / count)
    kept = np.argsort(spread)[::-1][:width]
    kept = kept[spread[kept] > 1e-10 * max(spread.max(), 1e-30)]
    axes = axes[:, kept]
    if wide:  # they are of the questions: each stands for the mix of columns that it is
        axes = standard.T @ (axes / np.sqrt(count * spread[kept]))
    axes = axes / max(np.sqrt(spread[kept].sum()), 1e-30) / scale[:, None]
    features_P = np.empty((len(embedding_P), len(kept) + 1), dtype=np.float32)
    features_P[:, -1] = 1
    for start in range(0, len(embedding_P), SAMPLE):
        features_P[start : start + SAMPLE, :-1] = (embedding_P[start : start + SAMPLE] - mean) @ axes
    return features_P


def _share_out(scale: np.ndarray, deviation: np.ndarray, part: slice, share: float) -> None:
    """Scale some columns so that together they have a squared length of `share`."""
    scale[part] *= np.sqrt(max(((deviation[part] / scale[part]) ** 2).sum(), 1e-30) / share)
