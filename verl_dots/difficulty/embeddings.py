"""Frozen-backbone embeddings of questions, kept on disk (DOTS, section 3.1).

A question's embedding is the mean over its tokens of the hidden states of a frozen transformers model: the last
layer's, or those of all layers side by side. They depend on text and backbone alone, so they are computed once:

    CACHE/<backbone id>/model.json                      what the embeddings are of
    CACHE/<backbone id>/<random name>.safetensors       key [n, 16] uint8, embedding [n, d] float32
"""

import hashlib
import json
import logging
import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from tqdm.auto import tqdm

logger = logging.getLogger(__name__)

DEFAULT_CACHE = "~/.cache/verl_dots/embeddings"
LAYERS = ("last", "all")
FORMAT = 1
SHARD_QUESTIONS = 8192
SAMPLED_BYTES = 1 << 20
DEFAULT_MAX_LENGTH = 1024
WEIGHTS = ("*.safetensors", "*.bin", "*.pt")


class EmbeddingError(ValueError):
    """Embeddings that cannot be made or trusted; the message says which and what to do."""


@dataclass(frozen=True)
class Backbone:
    """A frozen embedding model and how it is read.

    Attributes:
        path: folder or hub id.
        layers: "last", or "all": the embedding layer's and every block's mean side by side.
        max_length: tokens that are read of a question.
    """

    path: str
    layers: str = "last"
    max_length: int = DEFAULT_MAX_LENGTH

    def __post_init__(self):
        if self.layers not in LAYERS:
            raise EmbeddingError(f"layers={self.layers!r}: must be one of {', '.join(LAYERS)}")
        if self.max_length < 1:
            raise EmbeddingError(f"max_length={self.max_length}: must be 1 or more tokens")

    @property
    def folder(self) -> Path:
        """The model's folder; of a hub id, its snapshot, fetched if it is not there."""
        path = Path(self.path).expanduser()
        if path.exists():
            return path
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(self.path))
        except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
            raise EmbeddingError(
                f"backbone {self.path!r} is neither a folder nor a model of the hub: {error}"
            ) from error

    @property
    def id(self) -> str:
        """Stable name: the folder's, and a hash of the model's config, weights (sampled) and how it is read."""
        folder = self.folder
        if not (folder / "config.json").is_file():
            raise EmbeddingError(f"backbone {self.path!r} is not a model folder: no config.json in it")
        digest = hashlib.sha256((folder / "config.json").read_bytes())
        for pattern in WEIGHTS:
            for file in sorted(folder.glob(pattern)):
                digest.update(f"{file.name}:{file.stat().st_size}".encode())
                with open(file, "rb") as stream:
                    digest.update(stream.read(SAMPLED_BYTES))
                    stream.seek(-min(SAMPLED_BYTES, file.stat().st_size), os.SEEK_END)
                    digest.update(stream.read())
        digest.update(f"{self.layers}:{self.max_length}".encode())
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", Path(self.path).name).strip("-") or "model"
        return f"{name}-{digest.hexdigest()[:12]}"


class EmbeddingCache:
    """Embeddings of one backbone on disk.

    Raises:
        EmbeddingError: the folder holds another model's embeddings, or a shard is damaged or not finite.
    """

    def __init__(self, folder: str | Path, backbone_id: str):
        self.backbone_id = backbone_id
        self.folder = Path(folder).expanduser() / backbone_id
        self._vectors: dict[bytes, np.ndarray] = {}
        self.width: int | None = None
        if (self.folder / "model.json").is_file():
            self._read()

    def _read(self) -> None:
        found = json.loads((self.folder / "model.json").read_text())
        if (found.get("format"), found.get("backbone")) != (FORMAT, self.backbone_id):
            raise EmbeddingError(
                f"{self.folder} holds embeddings of {found.get('backbone')!r} in format {found.get('format')}, not of "
                f"{self.backbone_id!r} in format {FORMAT}; give another cache folder or delete this one"
            )
        self.width = found["width"]
        for shard in sorted(self.folder.glob("*.safetensors")):
            try:
                stored = load_file(shard)
                key, embedding = stored["key"], stored["embedding"]
            except (SafetensorError, KeyError, OSError) as error:
                raise EmbeddingError(
                    f"{shard} is damaged ({error}); delete it, its questions are embedded again"
                ) from error
            if embedding.shape != (len(key), self.width) or not np.isfinite(embedding).all():
                raise EmbeddingError(
                    f"{shard} is damaged: {embedding.shape} values, finite: {np.isfinite(embedding).all()}, for "
                    f"{len(key)} questions of width {self.width}; delete it, its questions are embedded again"
                )
            self._vectors.update(zip(map(bytes, key), embedding, strict=True))

    def missing(self, texts: Sequence[str]) -> list[int]:
        """Positions of the texts that are not there yet, each text once."""
        wanted = {_key(text): place for place, text in reversed(list(enumerate(texts)))}
        return sorted(place for key, place in wanted.items() if key not in self._vectors)

    def get(self, texts: Sequence[str]) -> np.ndarray:
        """[P, d] float32. KeyError for a text that is missing."""
        return np.stack([self._vectors[_key(text)] for text in texts])

    def add(self, texts: Sequence[str], embedding_P: np.ndarray) -> None:
        """Store embeddings [P, d], atomically, in a file of their own: two writers cannot meet."""
        self._describe(embedding_P.shape[1])
        keys = [_key(text) for text in texts]
        shard = self.folder / f"{uuid.uuid4().hex}.safetensors"
        partial = shard.with_suffix(".partial")
        save_file({"key": np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 16), "embedding": embedding_P}, partial)
        os.replace(partial, shard)
        self._vectors.update(zip(keys, embedding_P, strict=True))

    def _describe(self, width: int) -> None:
        if self.width is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.folder / f".{uuid.uuid4().hex}.partial"
            partial.write_text(json.dumps({"format": FORMAT, "backbone": self.backbone_id, "width": width}) + "\n")
            os.replace(partial, self.folder / "model.json")
            self.width = width
        elif width != self.width:
            raise EmbeddingError(f"embeddings of width {width} do not fit {self.folder}, whose width is {self.width}")


def cached_embeddings(
    texts: Sequence[str], backbone: Backbone, cache: str | Path = DEFAULT_CACHE, *, device: str = "cpu",
    batch_tokens: int = 16384, progress: bool = True,
) -> np.ndarray:  # fmt: skip
    """Embeddings of some texts, computed where they are not in the cache; saved every few thousand questions.

    Returns:
        [P, d] float32 in the order of the texts.

    Raises:
        EmbeddingError: see Backbone, EmbeddingCache, embed_texts.
    """
    store = EmbeddingCache(cache, backbone.id)
    todo = store.missing(texts)
    if todo:
        logger.info("embedding %d of %d questions with %s", len(todo), len(texts), backbone.path)
        model = FrozenModel(backbone, device)
        # Shards of neighbours in length: their batches hardly pad.
        todo.sort(key=lambda place: len(texts[place]))
        with tqdm(total=len(todo), desc="embeddings", disable=not progress) as bar:
            for start in range(0, len(todo), SHARD_QUESTIONS):
                part = [texts[place] for place in todo[start : start + SHARD_QUESTIONS]]
                store.add(part, model.embed(part, batch_tokens, bar))
    return store.get(texts)


def embed_texts(
    texts: Sequence[str], backbone: Backbone, *, device: str = "cpu", batch_tokens: int = 16384, progress: bool = False
) -> np.ndarray:
    """As `cached_embeddings`, without a cache."""
    with tqdm(total=len(texts), desc="embeddings", disable=not progress) as bar:
        return FrozenModel(backbone, device).embed(texts, batch_tokens, bar)


class FrozenModel:
    """The backbone, loaded: any transformers model that returns hidden states of its tokens."""

    def __init__(self, backbone: Backbone, device: str = "cpu"):
        from transformers import AutoModel, AutoTokenizer

        folder = backbone.folder
        self.backbone, self.device = backbone, torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16
        self.model = AutoModel.from_pretrained(folder, dtype=dtype).to(self.device).eval().requires_grad_(False)
        limit = getattr(self.model.config, "max_position_embeddings", None) or backbone.max_length
        self.max_length = min(backbone.max_length, limit)

    def embed(self, texts: Sequence[str], batch_tokens: int, bar: tqdm) -> np.ndarray:
        """[P, d] float32; batches are of neighbours in length and hold at most `batch_tokens` with their padding.

        Raises:
            EmbeddingError: a text without tokens, or an embedding that is not finite.
        """
        tokens_P = [self.tokenizer(text, truncation=True, max_length=self.max_length)["input_ids"] for text in texts]
        empty = [place for place, tokens in enumerate(tokens_P) if not tokens]
        if empty:
            raise EmbeddingError(f"{len(empty)} questions have no tokens, the first: {texts[empty[0]]!r}")
        embedding_P: list[np.ndarray | None] = [None] * len(texts)
        for batch in _batches([len(tokens) for tokens in tokens_P], batch_tokens):
            found = self._means([tokens_P[place] for place in batch])
            for place, vector in zip(batch, found, strict=True):
                if not np.isfinite(vector).all():
                    raise EmbeddingError(
                        f"{self.backbone.path} gives values that are not finite for {texts[place][:200]!r}; another "
                        "backbone may do, or dots.difficulty.device=cpu (float32)"
                    )
                embedding_P[place] = vector
            bar.update(len(batch))
        return np.stack(embedding_P)

    @torch.inference_mode()
    def _means(self, tokens_N: list[list[int]]) -> np.ndarray:
        longest = max(map(len, tokens_N))
        ids = torch.zeros(len(tokens_N), longest, dtype=torch.long)
        mask = torch.zeros(len(tokens_N), longest, dtype=torch.long)
        for row, tokens in enumerate(tokens_N):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens), 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        every = self.backbone.layers == "all"
        output = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=every)
        states = output.hidden_states if every else [output.last_hidden_state]
        weight = mask.unsqueeze(-1)
        means = [(state.float() * weight).sum(1) / weight.sum(1) for state in states]
        return torch.cat(means, dim=-1).cpu().numpy()


def _batches(length_P: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Positions in batches of similar length; a batch's longest times its rows is at most `batch_tokens`."""
    batches: list[list[int]] = []
    for place in sorted(range(len(length_P)), key=length_P.__getitem__):
        if batches and (len(batches[-1]) + 1) * length_P[place] <= batch_tokens:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8")).digest()[:16]
