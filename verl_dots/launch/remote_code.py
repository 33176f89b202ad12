"""Code that comes with a model and would be run: only where it was asked for."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_dots.files import is_path, parse_json
from verl_dots.settings import ConfigError

MODEL = "actor_rollout_ref.model"
# Files of a model's folder, and for which classes of transformers a tokenizer that is loaded takes code from them.
FILES = {"config.json": ("AutoConfig", "AutoTokenizer"), "tokenizer_config.json": ("AutoTokenizer",)}


def check_remote_code(config: DictConfig) -> None:
    """Refuse a model whose tokenizer comes with code that was not asked for.

    verl's reward workers load the tokenizer with that code, whatever the config says.

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
                    "verl's reward workers would run. Read it and set this to True, or take `auto_map` out of a copy",
                    key=f"{MODEL}.trust_remote_code",
                    reason="excluded",
                )


def _code_of(model: str, file: str) -> str | None:
    """The code that a tokenizer's loading takes from a file of a model."""
    path = Path(model).expanduser() / file if is_path(model) else _cached(model, file)
    try:
        found = parse_json(path.read_text()).get("auto_map") if path is not None and path.is_file() else None
    except (OSError, ValueError, AttributeError):  # told with its cause when it is loaded
        return None
    if isinstance(found, dict):
        found = [found[kind] for kind in FILES[file] if kind in found]
    return ", ".join(map(str, found)) if found else None


def _cached(model: str, file: str) -> Path | None:
    from transformers.utils import cached_file

    options = dict.fromkeys(
        ("_raise_exceptions_for_missing_entries", "_raise_exceptions_for_gated_repo",
         "_raise_exceptions_for_connection_errors"),
        False,
    )  # fmt: skip
    found = cached_file(model, file, **options)
    return Path(found) if found else None
