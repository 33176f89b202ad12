"""The config for some overrides: verl's, with the group `dots` and its presets."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf

from verl_dots.config import PRESETS, DotsConfig
from verl_dots.launch.verl_table import TABLE
from verl_dots.settings import ConfigError, plain_values, renamed_key, renamed_keys, require_choice, unknown_key

CONFIG_MODULE = "verl_dots.conf"
CONFIG_NAME = "dots_trainer"
PRESET = "dots.preset"
NEARLY = 0.85  # of difflib's ratio, from which on two names are taken for one
# Hydra's pkg:// would import verl to find its config: most of the time that it takes to refuse a misspelt key.
OmegaConf.register_new_resolver(
    "config_of_verl", lambda: str(Path(find_spec("verl").submodule_search_locations[0], "trainer/config")), replace=True
)
# The group `dots` is the typed config's; hydra gets plain values, so that what is wrong is refused in our words.
ConfigStore.instance().store(group="dots", name="default", node=plain_values(DotsConfig()))


def require_overrides(words: Sequence[str]) -> None:
    """Refuse words that set nothing, and those that take away a value which is checked: it would go unchecked.

    Raises:
        ConfigError: the word, and what to give in its place.
    """
    for word in words:
        if word.startswith("~"):
            key = word[1:].partition("=")[0]
            if any(f"{known}.".startswith(f"{key}.") for known in TABLE) or key.split(".")[0] == "dots":
                text = f"{word}: a run needs a value of {key}; set it by {key}=VALUE, to null where it may have none"
                raise ConfigError(text, key=key, reason="missing")
        elif "=" not in word:
            text = f"{word!r} is no override; give KEY=VALUE, in quotes where it has spaces or brackets"
            raise ConfigError(text, key=word, reason="unknown")


@contextmanager
def read_by_libyaml() -> Iterator[None]:
    """Have OmegaConf read files in C: in Python that is a third of what a config costs.

    OmegaConf derives its loader from `yaml.SafeLoader` whenever it reads a file.
    """
    given = yaml.SafeLoader
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", given)
    try:
        yield
    finally:
        yaml.SafeLoader = given


def with_preset(overrides: list[str]) -> list[str]:
    """Overrides in which `dots.preset=NAME` is hydra's choice of a config group, under every other override.

    Raises:
        ConfigError: there is no such preset.
    """
    changed = []
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key == PRESET:
            require_choice(PRESET, value, PRESETS)
        changed.append(f"preset={value}" if key == PRESET else override)
    return changed


def with_home(overrides: Sequence[str]) -> list[str]:
    """Overrides in which `~/`, which a shell leaves alone after a `=`, is the user's folder, in lists, too.

    verl expands it in some of its settings alone, and makes a folder called `~` of others.
    """
    home = os.path.expanduser("~")
    return [re.sub(r"(?<=[=\[,\"'])~(?=/)", lambda _: home, override) for override in overrides]


def compose(overrides: list[str]) -> DictConfig:
    """The config for some overrides.

    Raises:
        ConfigError: hydra refuses one; the message names the nearest key that exists.
    """
    overrides = with_home(with_preset(overrides))
    with read_by_libyaml(), hydra.initialize_config_module(CONFIG_MODULE, version_base=None):
        try:
            config = hydra.compose(CONFIG_NAME, overrides=overrides)
        except MissingConfigException as error:
            group, _, name = (error.missing_cfg_file or "").rpartition("/")
            require_choice(group, name, tuple(error.options or ()))
            raise
        except ValueError as error:  # null, where a file of conf is chosen
            raise ConfigError(f"hydra refuses the overrides: {error}", reason="type") from error
        except HydraException as error:
            plain = hydra.compose(CONFIG_NAME, overrides=[o for o in overrides if o.startswith(("device=", "preset="))])
            raise refused_override(error, plain) from error
    require_new_keys(overrides, config)
    return config


def preset_settings(name: str) -> DotsConfig:
    """What a preset sets, without the rest of a config, which takes thirty times as long to compose."""
    with read_by_libyaml(), hydra.initialize_config_module(CONFIG_MODULE, version_base=None):
        return DotsConfig.from_mapping(OmegaConf.to_container(hydra.compose(f"preset/{name}").dots))


def require_new_keys(overrides: Sequence[str], config: DictConfig) -> None:
    """Refuse a key that `+` adds beside one of nearly its name, or beside all groups: nobody would read it.

    Args:
        config: with the overrides.

    Raises:
        ConfigError: the key, and the one that may be meant.
    """
    for override in overrides:
        if not override.startswith("+") or override.startswith("++"):
            continue
        key = override[1:].partition("=")[0]
        group, _, name = key.rpartition(".")
        beside = OmegaConf.select(config, group) if group else config
        others = [str(other) for other in beside if other != name] if isinstance(beside, DictConfig) else []
        if near := difflib.get_close_matches(name, others, n=1, cutoff=NEARLY):
            known = f"{group}.{near[0]}" if group else near[0]
            text = f"{override}: nothing is called {key}; did you mean {known}? Where you mean it, write ++{key}=VALUE"
            raise ConfigError(text, key=key, reason="unknown")
        if not group and not isinstance(config.get(key, {}), Mapping):
            text = f"{override}: nothing reads {key}; leave it out. Where code of your own reads it, write +{override}"
            raise ConfigError(text, key=key, reason="unknown")


def refused_override(error: Exception, config: DictConfig) -> ConfigError:
    """hydra's refusal of an override as ours, with the nearest key that exists."""
    text = str(error).splitlines()[0]
    cause = error.__cause__
    quoted = getattr(cause, "full_key", None) or (text.split("'")[1] if "'" in text else "")
    key = quoted if re.fullmatch(r"[\w.]+", quoted) else ""
    if now := renamed_keys(DotsConfig, "dots").get(key):
        return renamed_key(key, now)
    if key and OmegaConf.select(config, key) is None:
        return unknown_key(key, all_keys(config))
    return ConfigError(f"{text} {cause or ''}".strip(), key=key, reason="type")


def all_keys(node: DictConfig, prefix: str = "") -> list[str]:
    """Dotted names of every key below a config node, inner ones included."""
    names = []
    for key in node:
        name = f"{prefix}{key}"
        names.append(name)
        child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none():
            names += all_keys(child, f"{name}.")
    return names
