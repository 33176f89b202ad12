"""What a setting that names a file or a model stands for: the same content under another path is the same."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

LENGTH = 16
SAMPLE = 1 << 20  # bytes read at each end of a file of weights
DESCRIPTIONS = ("config.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "chat_template*")
WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.npy")
FILES = ("data.train_files", "reward.custom_reward_function.path")
MODELS = ("actor_rollout_ref.model.path", "dots.difficulty.backbone", "dots.difficulty.checkpoint")


def fingerprints(config: DictConfig) -> dict[str, str | None]:
    """One for each key of `FILES` and `MODELS`; None where this machine does not have what the key names."""
    found = {key: of_files(OmegaConf.select(config, key)) for key in FILES}
    return found | {key: of_model(OmegaConf.select(config, key)) for key in MODELS}


def of_files(value: Any) -> str | None:
    """Of the content of one file or several, in their order; None where one of them is not a file here."""
    names = [value] if isinstance(value, str) else list(value or [])
    files = [Path(name).expanduser() for name in names]
    if not files or not all(file.is_file() for file in files):
        return None
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "blake2b").digest())
    return digest.hexdigest()[:LENGTH]


def of_model(value: Any) -> str | None:
    """Of a model's descriptions and tokenizer, and of both ends of its weights; None where they are not here.

    Args:
        value: a folder or the id of a model that is in the hub's cache.
    """
    folder = _model_folder(value) if isinstance(value, str) else None
    if folder is None:
        return None
    digest = hashlib.sha256()
    for file in _matching(folder, DESCRIPTIONS):
        digest.update(f"{file.name}:".encode() + hashlib.sha256(file.read_bytes()).digest())
    for file in _matching(folder, WEIGHTS):
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}:".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(SAMPLE))
            stream.seek(max(0, size - SAMPLE))
            digest.update(stream.read(SAMPLE))
    return digest.hexdigest()[:LENGTH]


def _model_folder(value: str) -> Path | None:
    path = Path(value).expanduser()
    if path.is_dir():
        return path
    from transformers.utils import cached_file

    try:
        found = cached_file(value, "config.json", local_files_only=True)
    except (OSError, ValueError):
        return None
    return Path(found).parent if found else None


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
