"""Overrides of a model's config: verl sets what it is given, and transformers ignores what nothing reads."""

import inspect
import re
import sys
from collections.abc import Mapping
from typing import Any

from transformers import PretrainedConfig

from verl_dots.settings import unknown_key

GROUP = "actor_rollout_ref.model.override_config"
WRITTEN = ("bos_token_id", "eos_token_id", "pad_token_id")  # by verl itself, into every config


def unknown_keys(config: PretrainedConfig, overrides: Mapping[str, Any], above: str = "") -> dict[str, list[str]]:
    """Dotted names of overrides that a config does not have, nor the parts of it that are configs.

    Args:
        config: before it is overridden.
        above: the dotted name of that part, with a dot behind it.

    Returns:
        Each name with those that stand in its place.
    """
    found: dict[str, list[str]] = {}
    for name, value in overrides.items():
        part = getattr(config, name, None)
        if not hasattr(config, name) and name not in WRITTEN:
            found[above + name] = [above + known for known in config.to_dict()]
        elif isinstance(value, Mapping) and isinstance(part, PretrainedConfig):
            found |= unknown_keys(part, value, f"{above}{name}.")
    return found


def require_read(model: Any, unknown: Mapping[str, list[str]]) -> None:
    """Raise ConfigError for the first of such names that the code of a model does not read from its config either.

    Some keys are read where they are given, and no config has them by default, such as head_dim of Qwen2.
    """
    code = inspect.getsource(sys.modules[type(model).__module__])
    for name, known in unknown.items():
        last = re.escape(name.rpartition(".")[2])
        if not re.search(rf"config\.{last}\b|config, \"{last}\"", code):
            raise unknown_key(f"{GROUP}.{name}", [f"{GROUP}.{each}" for each in known])
