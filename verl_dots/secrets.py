"""What must not be written down: values of variables and settings that open doors."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
_SECRET = re.compile(r"(key|token|secret|password|passwd|credential)s?$", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether the last part of a name (WANDB_API_KEY, trainer.hub_token) is what one calls a secret by."""
    return bool(_SECRET.search(name))


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables of an environment without the secret ones, for programs that are nobody's own."""
    return {name: value for name, value in variables.items() if not is_secret(name)}


def hidden(settings: Any) -> Any:
    """Nested plain values with each secret text in them hidden; a number or a flag is none."""
    if isinstance(settings, Mapping):
        return {
            name: HIDDEN if isinstance(value, str) and value and is_secret(str(name)) else hidden(value)
            for name, value in settings.items()
        }
    return [hidden(value) for value in settings] if isinstance(settings, list | tuple) else settings


def hidden_word(word: str) -> str:
    """A word of a command line: NAME=VALUE without the value of a secret."""
    name, given, _ = word.partition("=")
    return f"{name}={HIDDEN}" if given and is_secret(name) else word
