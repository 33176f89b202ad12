"""Embeddings on disk, found by a hash of the question's text.

CACHE/<backbone id>/model.json                      what the embeddings are of
CACHE/<backbone id>/<random name>.safetensors       key [n, 16] uint8, embedding [n, d] float32
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from verl_dots.difficulty.backbone import EmbeddingError
from verl_dots.files import parse_json, write_atomically
from verl_dots.state import UNREADABLE

FORMAT = 1
KEY_BYTES = 16
CHECKED_ROWS = 8192
MODEL_FILE = "model.json"
AGAIN = "delete it, its questions are embedded again"


class EmbeddingCache:
    """Embeddings of one backbone on disk. What is in memory is where they are, not what they are.

    Args:
        folder: of all caches.
        backbone_id: see `Backbone.id`.
        settings: of the backbone, written beside its id for the reader.

    Raises:
        EmbeddingError: the folder holds another model's embeddings, or a shard is damaged or not finite.
    """

    def __init__(self, folder: str | Path, backbone_id: str, settings: Mapping[str, Any] | None = None):
        self.backbone_id, self.settings = backbone_id, dict(settings or {})
        self.folder = Path(folder).expanduser() / backbone_id
        self.width: int | None = self._described()
        self._shards: list[Path] = []
        self._places: dict[bytes, tuple[int, int]] = {}  # key -> (number of its shard, row in it)
        if self.width is not None:
            for shard in sorted(self.folder.glob("*.safetensors")):
                self._note(shard, _checked_keys(shard, self.width))

    def __len__(self) -> int:
        return len(self._places)

    def missing(self, texts: Sequence[str]) -> list[int]:
        """Positions of the texts that are not there yet, each text once."""
        wanted = {_key(text): place for place, text in reversed(list(enumerate(texts)))}
        return sorted(place for key, place in wanted.items() if key not in self._places)

    def get(self, texts: Sequence[str]) -> np.ndarray:
        """[P, d] float32, in the order of the texts.

        Raises:
            EmbeddingError: a text is missing, or a shard has gone.
        """
        keys = [_key(text) for text in texts]
        absent = [place for place, key in enumerate(keys) if key not in self._places]
        if absent or self.width is None:
            raise EmbeddingError(
                f"{len(absent)} of {len(texts)} questions are not in {self.folder}, the first at {absent[:5]}; "
                "`python -m verl_dots.difficulty.embed` adds them",
                key=str(self.folder),
                reason="missing",
            )
        found = np.array([self._places[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        embedding_P = np.empty((len(texts), self.width), dtype=np.float32)
        for number in np.unique(found[:, 0]):
            chosen = np.flatnonzero(found[:, 0] == number)
            try:
                with safe_open(self._shards[number], framework="numpy") as file:
                    embedding_P[chosen] = file.get_tensor("embedding")[found[chosen, 1]]
            except (SafetensorError, OSError, *UNREADABLE) as error:
                text = f"{self._shards[number]} cannot be read any more ({error}); {AGAIN}"
                raise EmbeddingError(text, key=str(self._shards[number]), reason="damaged") from error
        return embedding_P

    def add(self, texts: Sequence[str], embedding_P: np.ndarray) -> None:
        """Store embeddings [P, d], atomically, in a file of their own: two writers cannot meet.

        Raises:
            EmbeddingError: the cache is of another width, or a value is not finite; nothing is stored.
        """
        if not np.isfinite(embedding_P).all():
            text = f"embeddings for {self.folder} are not finite; none of them is stored"
            raise EmbeddingError(text, key=str(self.folder), reason="data")
        self._describe(embedding_P.shape[1])
        keys = np.frombuffer(b"".join(map(_key, texts)), np.uint8).reshape(-1, KEY_BYTES)
        shard = self.folder / f"{uuid.uuid4().hex}.safetensors"
        embedding = np.ascontiguousarray(embedding_P, dtype=np.float32)
        write_atomically(shard, lambda partial: save_file({"key": keys, "embedding": embedding}, partial))
        self._note(shard, keys)

    def _note(self, shard: Path, keys: np.ndarray) -> None:
        number = len(self._shards)
        self._shards.append(shard)
        self._places.update((bytes(key), (number, row)) for row, key in enumerate(keys))

    def _described(self) -> int | None:
        """Width of what is there, if anything is."""
        file = self.folder / MODEL_FILE
        if not file.is_file():
            return None
        try:
            found = parse_json(file.read_text())
            content = (found["format"], found["backbone"], found["width"])
            if content[0] == FORMAT and (type(content[2]) is not int or content[2] < 1):
                raise ValueError(f"its width is {content[2]!r:.40}")
        except (OSError, ValueError, TypeError, KeyError) as error:
            text = f"{file} is damaged ({error!r}); delete {self.folder}, it is filled again"
            raise EmbeddingError(text, key=str(file), reason="damaged") from error
        if content[:2] != (FORMAT, self.backbone_id):
            raise EmbeddingError(
                f"{self.folder} holds embeddings of {content[1]!r:.60} in format {content[0]!r:.20}, not of "
                f"{self.backbone_id!r} in format {FORMAT}; give another cache folder or delete this one",
                key=str(self.folder),
                reason="other run",
            )
        return content[2]

    def _describe(self, width: int) -> None:
        # Another process may have begun the same cache meanwhile.
        known = self._described() if self.width is None else self.width
        if known not in (None, width):
            text = f"embeddings of width {width} do not fit {self.folder}, whose width is {known}"
            raise EmbeddingError(text, key=str(self.folder), reason="size")
        if known is None:
            content = {"format": FORMAT, "backbone": self.backbone_id, "width": width} | self.settings
            write_atomically(self.folder / MODEL_FILE, lambda partial: partial.write_text(json.dumps(content) + "\n"))
        self.width = width


def _checked_keys(shard: Path, width: int) -> np.ndarray:
    """Keys [n, 16] of a shard whose embeddings are looked through piece by piece."""
    try:
        with safe_open(shard, framework="numpy") as file:
            key, embedding = file.get_tensor("key"), file.get_slice("embedding")
            shape, kind = tuple(embedding.get_shape()), embedding.get_dtype()
            starts = range(0, shape[0], CHECKED_ROWS)
            finite = all(np.isfinite(embedding[start : min(start + CHECKED_ROWS, shape[0])]).all() for start in starts)
    except (SafetensorError, OSError, *UNREADABLE) as error:
        raise EmbeddingError(f"{shard} is damaged ({error}); {AGAIN}", key=str(shard), reason="damaged") from error
    if key.dtype != np.uint8 or key.shape[1:] != (KEY_BYTES,) or (shape, kind) != ((len(key), width), "F32"):
        raise EmbeddingError(
            f"{shard} is damaged: {kind} values of shape {shape} for keys of shape {key.shape}, in a cache of width "
            f"{width}; {AGAIN}",
            key=str(shard),
            reason="damaged",
        )
    if not finite:
        raise EmbeddingError(
            f"{shard} is damaged: not all of its values are finite; {AGAIN}", key=str(shard), reason="damaged"
        )
    return key


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8")).digest()[:KEY_BYTES]
