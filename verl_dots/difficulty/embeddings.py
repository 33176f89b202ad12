"""Frozen-backbone embeddings of questions, kept on disk (DOTS, section 3.1).

A question's embedding is the mean over its tokens of the hidden states of a frozen transformers model: the last
layer's, or those of several layers side by side. They depend on text and backbone alone, so they are computed once.
`Backbone` names the model, `EmbeddingCache` keeps what it gave.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from verl_dots.difficulty.backbone import LAYERS, READS, Backbone, EmbeddingError, as_backbone, backbone_id
from verl_dots.difficulty.embedding_cache import EmbeddingCache
from verl_dots.difficulty.frozen_model import SHOWN, FrozenModel
from verl_dots.terminal import PROGRESS

__all__ = [
    "DEFAULT_CACHE", "LAYERS", "READS", "Backbone", "EmbeddingCache", "EmbeddingError", "backbone_id",
    "cached_embeddings", "check_cache", "embed_missing", "embed_texts", "load_embeddings", "missing",
    "questions_left",
]  # fmt: skip

logger = logging.getLogger(__name__)

DEFAULT_CACHE = "~/.cache/verl_dots/embeddings"
SHARD_QUESTIONS = 8192
STORE_SECONDS = 300.0
BATCH_TOKENS = 16384

Layers = str | tuple[int, ...] | None


def cached_embeddings(
    texts: Sequence[str], backbone: Backbone | str | Path, cache: str | Path = DEFAULT_CACHE, *, layers: Layers = None,
    max_length: int | None = None, device: str = "cpu", dtype: torch.dtype | None = None,
    batch_tokens: int = BATCH_TOKENS, progress: bool = True,
) -> np.ndarray:  # fmt: skip
    """Embeddings of some texts, computed where they are not in the cache, and kept there: see `embed_missing`.

    Args:
        backbone: or its folder or hub id, with `layers` and `max_length` beside it.
        progress: show a bar on stderr.

    Returns:
        [P, d] float32 in the order of the texts.

    Raises:
        EmbeddingError: see `embed_missing`.
    """
    backbone = as_backbone(backbone, layers, max_length)
    left_after = embed_missing(texts, backbone, cache, device=device, dtype=dtype, batch_tokens=batch_tokens)
    with tqdm(total=next(left_after, 0), desc="embeddings", disable=not progress) as bar:
        for left in left_after:
            bar.update(bar.total - bar.n - left)
    return _store(backbone, cache).get(texts)


def embed_missing(
    texts: Sequence[str], backbone: Backbone, cache: str | Path = DEFAULT_CACHE, *, device: str = "cpu",
    dtype: torch.dtype | None = None, batch_tokens: int = BATCH_TOKENS,
) -> Iterator[int]:  # fmt: skip
    """Embed what the cache lacks, a batch at a time: how many questions are left at the start and after each batch.

    What is embedded is stored every SHARD_QUESTIONS, and every STORE_SECONDS where that takes longer. The backbone is
    loaded only if something is missing; nothing comes where nothing is.

    Args:
        dtype: of the backbone's arithmetic; float32 on a CPU and bfloat16 elsewhere unless given.
        batch_tokens: most tokens, padding included, that the backbone takes at once.

    Raises:
        EmbeddingError: no texts or blank ones, or see Backbone, EmbeddingCache, FrozenModel.
    """
    _require_text(texts)
    store = _store(backbone, cache)
    todo = store.missing(texts)
    if not todo:
        return
    logger.info("embedding %d of %d questions with %s", len(todo), len(texts), backbone.path)
    model = FrozenModel(backbone, device, dtype)
    # Shards of neighbours in length: their batches hardly pad.
    todo.sort(key=lambda place: len(texts[place]))
    yield (left := len(todo))
    for start in range(0, len(todo), SHARD_QUESTIONS):
        places = todo[start : start + SHARD_QUESTIONS]
        shard = [texts[place] for place in places]
        names, embedded, end, began = [], [], left - len(shard), time.monotonic()
        for rows, means in model.batches(shard, batch_tokens, places):
            names += [shard[row] for row in rows]
            embedded.append(means)
            left -= len(rows)
            if left == end or time.monotonic() - began >= STORE_SECONDS:
                store.add(names, np.concatenate(embedded))
                names, embedded, began = [], [], time.monotonic()
            yield left


def questions_left(left: int, count: int) -> str:
    """A line of the log of a run that embeds; its console shows it now and then."""
    return f"{PROGRESS}{left} of {count} questions are left to embed"


def load_embeddings(texts: Sequence[str], known_id: str, cache: str | Path = DEFAULT_CACHE) -> np.ndarray:
    """[P, d] float32 from the cache alone, by the backbone's id: the backbone itself may be gone.

    Raises:
        EmbeddingError: a text is missing, or see EmbeddingCache.
    """
    return EmbeddingCache(cache, known_id).get(texts)


def missing(
    texts: Sequence[str], backbone: Backbone | str | Path, cache: str | Path = DEFAULT_CACHE, *, layers: Layers = None,
    max_length: int | None = None,
) -> int:  # fmt: skip
    """How many different texts `cached_embeddings` would have to embed."""
    return len(_store(as_backbone(backbone, layers, max_length), cache).missing(texts))


def check_cache(
    backbone: Backbone | str | Path, cache: str | Path = DEFAULT_CACHE, *, layers: Layers = None,
    max_length: int | None = None,
) -> int | None:  # fmt: skip
    """Width of the backbone's cached embeddings, looked through in full; None where there are none yet.

    Raises:
        EmbeddingError: see Backbone.id, EmbeddingCache.
    """
    return _store(as_backbone(backbone, layers, max_length), cache).width


def embed_texts(
    texts: Sequence[str], backbone: Backbone | str | Path, *, layers: Layers = None, max_length: int | None = None,
    device: str = "cpu", dtype: torch.dtype | None = None, batch_tokens: int = BATCH_TOKENS, progress: bool = False,
) -> np.ndarray:  # fmt: skip
    """As `cached_embeddings`, without a cache."""
    _require_text(texts)
    model = FrozenModel(as_backbone(backbone, layers, max_length), device, dtype)
    found, embedded = [], []
    with tqdm(total=len(texts), desc="embeddings", disable=not progress) as bar:
        for rows, means in model.batches(texts, batch_tokens):
            found += rows
            embedded.append(means)
            bar.update(len(rows))
    return np.concatenate(embedded)[np.argsort(found)]


def _store(backbone: Backbone, cache: str | Path) -> EmbeddingCache:
    how = {name: getattr(backbone, name) for name in ("layers", "max_length", "reads")}
    return EmbeddingCache(cache, backbone.id, how)


def _require_text(texts: Sequence[str]) -> None:
    blank = [place for place, text in enumerate(texts) if not text.strip()]
    if blank or not len(texts):
        raise EmbeddingError(
            f"{len(blank)} of {len(texts)} questions have no text, at {blank[:SHOWN]}: nothing to embed",
            reason="data",
        )
