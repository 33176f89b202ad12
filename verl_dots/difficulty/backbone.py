"""Which frozen model embeds the questions and how it is read, and one stable name for both."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verl_dots import hub
from verl_dots.files import is_path
from verl_dots.settings import Refusal

DEFAULT_MAX_LENGTH = 1024
LAYERS = ("last", "all")
READS = ("question", "answer_and_question")
ANSWER_CHARACTERS = 200  # that are read: the ground truth of a programming task is long
SAMPLED_BYTES = 1 << 20


class EmbeddingError(Refusal):
    """Embeddings that cannot be made or trusted; the message says which and what to do."""


@dataclass(frozen=True)
class Backbone:
    """A frozen embedding model and how it is read.

    Attributes:
        path: folder or hub id.
        layers: "last"; "all", the embedding layer's and every block's mean side by side; or numbers of layers, 0 being
            the embedding layer's output and n that of the last of n blocks.
        max_length: tokens that are read of a question, where the model itself can read so many.
        reads: the text of a question alone, or behind its answer. What the answer looks like says something about the
            difficulty: on real questions a kernel regression on embeddings of both correlates with it by 0.03 more.
    """

    path: str
    layers: str | tuple[int, ...] = "last"
    max_length: int = DEFAULT_MAX_LENGTH
    reads: str = "question"

    def __post_init__(self):
        if not isinstance(self.layers, str):
            object.__setattr__(self, "layers", tuple(self.layers))
            good = all(isinstance(layer, int) and layer >= 0 for layer in self.layers)
            if not self.layers or not good or len(set(self.layers)) < len(self.layers):
                text = f"layers={self.layers}: must be different numbers of layers, each 0 or more"
                raise EmbeddingError(text, key="layers", reason="range")
        elif self.layers not in LAYERS:
            text = f"layers={self.layers!r}: must be one of {', '.join(LAYERS)}, or numbers of layers"
            raise EmbeddingError(text, key="layers", reason="choice")
        if self.max_length < 1:
            raise EmbeddingError(
                f"max_length={self.max_length}: must be 1 or more tokens", key="max_length", reason="range"
            )
        if self.reads not in READS:
            raise EmbeddingError(
                f"reads={self.reads!r}: must be one of {', '.join(READS)}", key="reads", reason="choice"
            )

    def inputs(self, texts: Sequence[str], answers: Sequence[str]) -> tuple[str, ...]:
        """What is embedded of questions [P] with their answers [P]."""
        if self.reads == "question":
            return tuple(texts)
        pairs = zip(texts, answers, strict=True)
        return tuple(f"Answer: {answer[:ANSWER_CHARACTERS]}\nQuestion: {text}" for text, answer in pairs)

    @property
    def folder(self) -> Path:
        """The model's folder; of a hub id, its snapshot, fetched if it is not there."""
        path = Path(self.path).expanduser()
        if not path.exists() and is_path(self.path):
            raise EmbeddingError(
                f"backbone {self.path!r} is no folder, and no name of a model of the hub", key=self.path, reason="file"
            )
        return path if path.exists() else _snapshot(self.path)

    @property
    def id(self) -> str:
        """Stable name: the folder's, and a hash of the model's config, weights (sampled) and how it is read.

        Raises:
            EmbeddingError: there is no such model, or it has no config or not all of its weights.
        """
        folder = self.folder
        if not (folder / "config.json").is_file():
            raise EmbeddingError(
                f"backbone {self.path!r} is not a model folder: no config.json in it", key=self.path, reason="file"
            )
        lacking = hub.lacking_weights(folder)
        if lacking:
            raise EmbeddingError(
                f"backbone {self.path!r} is not complete: no {lacking} in {folder}", key=self.path, reason="file"
            )
        digest = hashlib.sha256((folder / "config.json").read_bytes())
        for file in hub.weights_of(folder):
            digest.update(f"{file.name}:{file.stat().st_size}".encode())
            with open(file, "rb") as stream:
                digest.update(stream.read(SAMPLED_BYTES))
                stream.seek(-min(SAMPLED_BYTES, file.stat().st_size), os.SEEK_END)
                digest.update(stream.read())
        digest.update(f"{self.layers}:{self.max_length}:{self.reads}".encode())
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", Path(self.path).name).strip("-") or "model"
        return f"{name}-{digest.hexdigest()[:12]}"


def as_backbone(
    backbone: Backbone | str | Path, layers: str | tuple[int, ...] | None = None, max_length: int | None = None
) -> Backbone:
    """A folder or hub id as a Backbone. Raises EmbeddingError where a Backbone is given settings a second time."""
    if not isinstance(backbone, Backbone):
        return Backbone(str(backbone), "last" if layers is None else layers, max_length or DEFAULT_MAX_LENGTH)
    if layers is not None or max_length is not None:
        text = "layers and max_length belong to the Backbone; give them to it, not beside it"
        raise EmbeddingError(text, key="layers", reason="excluded")
    return backbone


def backbone_id(
    backbone: Backbone | str | Path, layers: str | tuple[int, ...] | None = None, max_length: int | None = None
) -> str:
    """See Backbone.id; caches and predictor checkpoints hold it. No weights are loaded for it."""
    return as_backbone(backbone, layers, max_length).id


def same_backbone(one: str, other: str) -> bool:
    """Whether two ids are of the same weights, read alike; the folder's name, before the last dash, may differ."""
    return one.rsplit("-", 1)[-1] == other.rsplit("-", 1)[-1]


def _snapshot(name: str) -> Path:
    """Folder of a hub model: what is complete on this machine needs no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    folder = hub.cached(name)
    if folder is not None and not hub.lacking(name):
        return folder
    try:
        return Path(snapshot_download(name))
    except HFValidationError as error:
        raise EmbeddingError(
            f"backbone {name!r} is no folder, and no name of a model of the hub: {error}", key=name, reason="file"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise EmbeddingError(
            f"backbone {name!r} is neither a folder nor a model of the hub: {error}", key=name, reason="file"
        ) from error
