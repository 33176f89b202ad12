"""What a setting that names a file or a model stands for: the same content under another path is the same."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.model_files import CONFIG, GENERATION, TOKENIZER, WEIGHTS, digest, ends, matching

LENGTH = 16
FILES = ("data.train_files", "reward.custom_reward_function.path")
MODEL = (*CONFIG, *GENERATION, *TOKENIZER, *WEIGHTS)
# Key -> the files that are read of the model that it names.
MODELS = {
    "actor_rollout_ref.model.path": MODEL,
    "actor_rollout_ref.model.tokenizer_path": TOKENIZER,
    "actor_rollout_ref.model.hf_config_path": (*CONFIG, *GENERATION),
    "critic.model.path": MODEL,
    "critic.model.hf_config_path": CONFIG,
    "dots.difficulty.backbone": MODEL,
    "dots.difficulty.checkpoint": MODEL,
}


def fingerprints(config: DictConfig) -> dict[str, str | None]:
    """One for each key of `FILES` and `MODELS`; None where this machine does not have what the key names."""
    found = {key: of_files(OmegaConf.select(config, key)) for key in FILES}
    return found | {key: of_model(OmegaConf.select(config, key), globs) for key, globs in MODELS.items()}


def of_files(value: Any) -> str | None:
    """Of the content of one file or several, in their order; None where one of them is not a file here."""
    names = [value] if isinstance(value, str) else list(value or [])
    files = [Path(name).expanduser() for name in names]
    if not files or not all(file.is_file() for file in files):
        return None
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "blake2b").digest())
    return whole.hexdigest()[:LENGTH]


def of_model(value: Any, globs: Sequence[str] = MODEL) -> str | None:
    """Of some of a model's files, of weights both ends; of one in the hub's cache, its commit.

    How many of a commit's files the cache has differs from machine to machine, and grows. Without weights it has only
    what was looked at before a run.

    Args:
        value: a folder, or the id of a model of the hub.
        globs: which files.

    Returns:
        None where there are none here, or no weights in the hub's cache: the name then says which model it is.
    """
    folder = _model_folder(value) if isinstance(value, str) else None
    if folder is None:
        return None
    if folder.parent.parent.name.startswith("models--"):
        return folder.name if matching(folder, WEIGHTS) else None
    weights, files = matching(folder, WEIGHTS), matching(folder, globs)
    return digest(files, lambda file: ends(file) if file in weights else file.read_bytes()) if files else None


def _model_folder(value: str) -> Path | None:
    path = Path(value).expanduser()
    if path.is_dir():
        return path.resolve()
    from transformers.utils import cached_file

    try:
        found = cached_file(value, "config.json", local_files_only=True)
    except (OSError, ValueError):
        return None
    return Path(found).parent if found else None
