"""Frozen-backbone embeddings of questions, kept on disk (DOTS, section 3.1).

A question's embedding is the mean over its tokens of the hidden states of a frozen transformers model: the last
layer's, or those of several layers side by side. They depend on text and backbone alone, so they are computed once.
`Backbone` names the model, `EmbeddingCache` keeps what it gave.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from tqdm.auto import tqdm

from verl_dots.difficulty.backbone import LAYERS, READS, Backbone, EmbeddingError, as_backbone, backbone_id
from verl_dots.difficulty.embedding_cache import EmbeddingCache

__all__ = [
    "DEFAULT_CACHE", "LAYERS", "READS", "Backbone", "EmbeddingCache", "EmbeddingError", "FrozenModel", "backbone_id",
    "cached_embeddings", "check_cache", "embed_texts", "load_embeddings", "missing",
]  # fmt: skip

logger = logging.getLogger(__name__)

DEFAULT_CACHE = "~/.cache/verl_dots/embeddings"
SHARD_QUESTIONS = 8192
BATCH_TOKENS = 16384
SHOWN = 5  # questions named in a message
TOKENIZERS = ("tokenizer*", "vocab*", "merges.txt", "*.model", "*.tiktoken")

Layers = str | tuple[int, ...] | None


def cached_embeddings(
    texts: Sequence[str], backbone: Backbone | str | Path, cache: str | Path = DEFAULT_CACHE, *, layers: Layers = None,
    max_length: int | None = None, device: str = "cpu", dtype: torch.dtype | None = None,
    batch_tokens: int = BATCH_TOKENS, progress: bool = True,
) -> np.ndarray:  # fmt: skip
    """Embeddings of some texts, computed where they are not in the cache; saved every few thousand questions.

    The backbone is loaded only if something is missing.

    Args:
        backbone: or its folder or hub id, with `layers` and `max_length` beside it.
        dtype: of the backbone's arithmetic; float32 on a CPU and bfloat16 elsewhere unless given.
        batch_tokens: most tokens, padding included, that the backbone takes at once.
        progress: show a bar on stderr.

    Returns:
        [P, d] float32 in the order of the texts.

    Raises:
        EmbeddingError: no texts or blank ones, or see Backbone, EmbeddingCache, FrozenModel.
    """
    backbone = as_backbone(backbone, layers, max_length)
    _require_text(texts)
    store = _store(backbone, cache)
    todo = store.missing(texts)
    if todo:
        logger.info("embedding %d of %d questions with %s", len(todo), len(texts), backbone.path)
        model = FrozenModel(backbone, device, dtype)
        # Shards of neighbours in length: their batches hardly pad.
        todo.sort(key=lambda place: len(texts[place]))
        with tqdm(total=len(todo), desc="embeddings", disable=not progress) as bar:
            for start in range(0, len(todo), SHARD_QUESTIONS):
                places = todo[start : start + SHARD_QUESTIONS]
                shard = [texts[place] for place in places]
                store.add(shard, model.embed(shard, batch_tokens, bar, places))
    return store.get(texts)


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
    with tqdm(total=len(texts), desc="embeddings", disable=not progress) as bar:
        return model.embed(texts, batch_tokens, bar)


class FrozenModel:
    """The backbone, loaded: any transformers model that returns hidden states of its tokens.

    Raises:
        EmbeddingError: it cannot be loaded, has fewer layers than asked for, or the device is not there.
    """

    def __init__(self, backbone: Backbone, device: str = "cpu", dtype: torch.dtype | None = None):
        from transformers import AutoModel, AutoTokenizer

        self.backbone, self.device = backbone, _device(device)
        dtype = dtype or (torch.float32 if self.device.type == "cpu" else torch.bfloat16)
        folder = backbone.folder
        # Without its files transformers makes up a tokenizer that knows no words.
        if not any(file for pattern in TOKENIZERS for file in folder.glob(pattern)):
            text = f"backbone {backbone.path!r} has no tokenizer: none of {', '.join(TOKENIZERS)} in it"
            raise EmbeddingError(text, key=backbone.path, reason="file")
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModel.from_pretrained(folder, dtype=dtype)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise EmbeddingError(
                f"backbone {backbone.path!r} cannot be loaded: {error}", key=backbone.path, reason="file"
            ) from error
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.max_length = min(backbone.max_length, _positions(model) or backbone.max_length)
        blocks = model.config.num_hidden_layers
        if not isinstance(backbone.layers, str) and max(backbone.layers) > blocks:
            raise EmbeddingError(
                f"layers={backbone.layers}: {backbone.path!r} has layers 0 to {blocks}", key="layers", reason="size"
            )

    def embed(
        self, texts: Sequence[str], batch_tokens: int, bar: tqdm, places: Sequence[int] | None = None
    ) -> np.ndarray:
        """[P, d] float32; batches are of neighbours in length and hold at most `batch_tokens` with their padding.

        Args:
            places: what the questions are called in errors; their positions unless given.

        Raises:
            EmbeddingError: a text without tokens, an embedding that is not finite, or batch_tokens below 1.
        """
        if batch_tokens < 1:
            raise EmbeddingError(f"batch_tokens={batch_tokens}: must be 1 or more", key="batch_tokens", reason="range")
        places = range(len(texts)) if places is None else places
        tokens_P = [self.tokenizer(text, truncation=True, max_length=self.max_length)["input_ids"] for text in texts]
        empty = [places[row] for row, tokens in enumerate(tokens_P) if not tokens]
        if empty:
            text = f"{len(empty)} questions have no tokens for {self.backbone.path}, at {empty[:SHOWN]}"
            raise EmbeddingError(text, key=self.backbone.path, reason="data")
        embedding_P: np.ndarray | None = None
        for batch in _batches([len(tokens) for tokens in tokens_P], batch_tokens):
            means = self._means([tokens_P[row] for row in batch])
            bad = [row for row, finite in zip(batch, np.isfinite(means).all(axis=1), strict=True) if not finite]
            if bad:
                raise EmbeddingError(
                    f"{self.backbone.path} gives values that are not finite for questions "
                    f"{[places[row] for row in bad[:SHOWN]]}, {texts[bad[0]][:200]!r} the first; nothing of them is "
                    "stored. Another backbone may do, or float32 (device=cpu)",
                    key=self.backbone.path,
                    reason="data",
                )
            if embedding_P is None:
                embedding_P = np.empty((len(texts), means.shape[1]), dtype=np.float32)
            embedding_P[batch] = means
            bar.update(len(batch))
        return embedding_P

    @torch.inference_mode()
    def _means(self, tokens_N: list[list[int]]) -> np.ndarray:
        """[N, d] means over the tokens; the mask is made here, so the tokenizer needs no padding token."""
        longest = max(map(len, tokens_N))
        ids = torch.zeros(len(tokens_N), longest, dtype=torch.long)
        mask = torch.zeros(len(tokens_N), longest, dtype=torch.long)
        for row, tokens in enumerate(tokens_N):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens), 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        layers = self.backbone.layers
        output = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=layers != "last")
        states = [output.last_hidden_state] if layers == "last" else output.hidden_states
        if not isinstance(layers, str):
            states = [states[layer] for layer in layers]
        weight = mask.unsqueeze(-1)
        means = [(state.float() * weight).sum(1) / weight.sum(1) for state in states]
        return torch.cat(means, dim=-1).cpu().numpy()


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


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EmbeddingError(
            f"device={name!r} is none that torch knows: cpu, cuda, cuda:1 ...", key="device", reason="choice"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        text = f"device={name!r}: torch sees {torch.cuda.device_count()} CUDA devices here; try cpu"
        raise EmbeddingError(text, key="device", reason="machine")
    return device


def _positions(model: torch.nn.Module) -> int | None:
    """Tokens that the model has positions for; RoBERTa's kin lose those up to the padding index."""
    limit = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return limit - module.padding_idx - 1
    return limit


def _batches(length_P: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Positions in batches of similar length; a batch's longest times its rows is at most `batch_tokens`."""
    batches: list[list[int]] = []
    for place in sorted(range(len(length_P)), key=length_P.__getitem__):
        if batches and (len(batches[-1]) + 1) * length_P[place] <= batch_tokens:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches
