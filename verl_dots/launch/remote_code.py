"""Code that comes with a model and would be run: only where it was asked for."""

import json
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_dots.files import is_path
from verl_dots.settings import ConfigError

MODEL = "actor_rollout_ref.model"
# Files of a model's folder that may name code of its own to load.
FILES = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")


def check_remote_code(config: DictConfig) -> None:
    """Refuse a model with code of its own that was not asked for.

    verl's reward workers load the tokenizer with all code that comes with it, whatever the config says.

    Raises:
        ConfigError: a file of the model names code, and trust_remote_code is off.
    """
    model = config.actor_rollout_ref.model
    if model.get("trust_remote_code", False):
        return
    others = ("tokenizer_path", "hf_config_path")
    rewards = OmegaConf.select(config, "reward.reward_model.model_path") if config.reward.reward_model.enable else None
    for name in dict.fromkeys(filter(None, (model.path, *(model.get(other) for other in others), rewards))):
        for file in FILES:
            if code := _code_of(str(name), file):
                raise ConfigError(
                    f"{MODEL}.trust_remote_code=False: {file} of {name!r} names code of its own ({code}), which "
                    "would run on this machine. Read it, and set it to True if you trust it",
                    key=f"{MODEL}.trust_remote_code",
                    reason="excluded",
                )


def _code_of(model: str, file: str) -> str | None:
    """What the file of a model names as its code."""
    path = Path(model).expanduser() / file if is_path(model) else _cached(model, file)
    try:
        found = json.loads(path.read_text()).get("auto_map") if path is not None and path.is_file() else None
    except (OSError, ValueError, AttributeError):  # told with its cause when it is loaded
        return None
    return ", ".join(sorted(map(str, found.values()))) if isinstance(found, dict) else found


def _cached(model: str, file: str) -> Path | None:
    from transformers.utils import cached_file

    options = dict.fromkeys(
        ("_raise_exceptions_for_missing_entries", "_raise_exceptions_for_gated_repo",
         "_raise_exceptions_for_connection_errors"),
        False,
    )  # fmt: skip
    found = cached_file(model, file, **options)
    return Path(found) if found else None
