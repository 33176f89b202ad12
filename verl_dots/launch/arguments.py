"""Groups of settings whose names become arguments of a call: of `ray.init`, and of the chat template."""

import inspect
import os
from collections.abc import Collection
from difflib import get_close_matches

from omegaconf import DictConfig, OmegaConf

from verl_dots.settings import ConfigError

RAY, TEMPLATE = "ray_kwargs.ray_init", "data.apply_chat_template_kwargs"
# What `ray.init` takes beside its parameters (seen in 2.60).
OF_RAY = (
    *("_enable_object_reconstruction", "_plasma_directory", "object_spilling_directory", "_node_ip_address"),
    *("_driver_object_store_memory", "_memory", "_redis_username", "_redis_password", "_temp_dir"),
    *("_metrics_export_port", "_system_config", "_tracing_startup_hook", "_node_name", "_skip_env_hook"),
)
# What verl's agent loops call verl.utils.tokenizer.chat_template.apply_chat_template with, or that passes on itself.
OF_VERL = ("conversation", "add_generation_prompt", "tokenize", "processor", "messages", "tools")


def check_arguments(config: DictConfig) -> None:
    """Refuse names that a call would take twice, or not at all.

    Raises:
        ConfigError: the key with that name.
    """
    for name in OmegaConf.select(config, TEMPLATE) or {}:
        if name in OF_VERL:
            words = "verl sets it itself, and a call would get it twice; leave it out"
            raise ConfigError(f"{TEMPLATE}.{name}: {words}", key=f"{TEMPLATE}.{name}", reason="excluded")
    given = OmegaConf.select(config, RAY) or {}
    if "://" in str(given.get("address") or os.environ.get("RAY_ADDRESS")):
        return  # Ray's client takes others
    known = ray_arguments()
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {RAY}.{near[0]}?" if near else "; leave it out"
            words = f"{RAY}.{name}: ray.init has no argument of that name{hint}"
            raise ConfigError(words, key=f"{RAY}.{name}", reason="unknown")


def ray_arguments() -> Collection[str]:
    """Names that `ray.init` takes."""
    import ray

    return {*inspect.signature(ray.init).parameters, *OF_RAY} - {"kwargs"}
