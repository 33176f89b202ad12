"""Settings that hold secrets: a run shows, keeps and sends its settings, and would give these away or not get them."""

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_dots.secrets import HIDDEN, hidden, is_secret, secret_names
from verl_dots.settings import ConfigError, flat

OF_RAY = "ray_kwargs"  # Ray starts with these as they are
_VARIABLES = re.compile(r"oc\.env:\s*[\"']?(\w+)")  # of the environment, in a value that names them


def refuse_secrets(config: DictConfig) -> None:
    """Refuse a value under such a name, and one that takes a secret under another name, outside of Ray's own settings.

    Of a variable of the environment Ray's take none under another name either: it would be shown.

    Raises:
        ConfigError: its name; the message does not tell the value.
    """
    given = OmegaConf.to_container(config)
    others = {name: value for name, value in given.items() if name != OF_RAY}
    for name in secret_names(others):
        raise _refusal(
            name,
            f"is named like a secret, and settings are written down: a run would get {HIDDEN} in place of its value",
        )
    hides, unseen = bool(secret_names(given)), OmegaConf.create(hidden(given))
    for name, value in flat(hidden(given)).items():
        text = " ".join(_texts(value))
        if "${" not in text:
            continue
        if any(map(is_secret, _VARIABLES.findall(text))):
            raise _refusal(
                name, "takes the value of a variable that is named like a secret, and settings are written down"
            )
        if hides and not name.startswith(f"{OF_RAY}.") and _hidden_in(unseen, name) > _hidden_in(config, name):
            words = f"a run would get {HIDDEN} in its place"
            raise _refusal(name, f"takes a value that is named like a secret, and settings are written down: {words}")


def _texts(value: Any) -> Iterator[str]:
    """Of a setting, which may be a list of lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _refusal(name: str, why: str) -> ConfigError:
    advice = "Leave it out, and give it as a variable of the environment, which your function or the engine reads"
    return ConfigError(f"{name} {why}. {advice}", key=name, reason="excluded")


def _hidden_in(config: DictConfig, name: str) -> int:
    """How many hidden secrets a value takes; 0 where it names what is not there, which other checks tell."""
    try:
        found = OmegaConf.select(config, name)
        plain = OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
        return sum(text.count(HIDDEN) for text in _texts(plain))
    except OmegaConfBaseException:
        return 0
