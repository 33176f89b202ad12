"""What must not be written down: values of variables and settings that open doors."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
# Variables are upper case. Settings such as data.prompt_key are none; these are.
_SECRET = re.compile(r"(.*_)?(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)|api_key|hf_token|password|secret")


def is_secret(name: str) -> bool:
    """Whether the last part of a dotted name is what one calls a secret by: WANDB_API_KEY, judge.api_key."""
    return bool(_SECRET.fullmatch(name.rpartition(".")[2]))


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables of an environment without the secret ones, for programs that are nobody's own."""
    return {name: value for name, value in variables.items() if not is_secret(name)}


def hidden(settings: Any) -> Any:
    """Nested plain values with the secret ones in them hidden."""
    if isinstance(settings, Mapping):
        return {name: HIDDEN if value and is_secret(str(name)) else hidden(value) for name, value in settings.items()}
    return [hidden(value) for value in settings] if isinstance(settings, list | tuple) else settings


def hidden_word(word: str) -> str:
    """A word of a command line: NAME=VALUE without the value of a secret."""
    name, given, _ = word.partition("=")
    return f"{name}={HIDDEN}" if given and is_secret(name.lstrip("+")) else word
