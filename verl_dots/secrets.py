"""What must not be written down: values of variables and settings that open doors."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "***"
_NAME_WITHIN = re.compile(r"([\w.-]+)[\"']?\s*:")  # of a setting in a dict on a command line
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")  # where a word of camel case begins
_NUMBER = r"([_-]?\d+)?"  # of several that one has
# A variable is upper case, and each KEY and TOKEN a secret. data.prompt_key and eos_token are settings, and none.
_VARIABLE = r"(.*_)?(KEY|TOKEN)"
_SETTING = (
    r"(?i:(.*[_-])?((api|access|secret|private)[_-]?key|(api|auth|access|bearer|hf)[_-]?token"
    r"|authorization|password|passwd|secret|credentials?))"
)
_SECRET = re.compile(f"({_VARIABLE}|{_SETTING}){_NUMBER}")


def is_secret(name: str) -> bool:
    """Whether the last part of a dotted name is what one calls a secret by: WANDB_API_KEY, judge.api_key_2, apiKey."""
    last = name.rpartition(".")[2]
    return any(map(_SECRET.fullmatch, (last, _HUMP.sub("_", last))))


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables of an environment without the secret ones, for programs that are nobody's own."""
    return {name: value for name, value in variables.items() if not is_secret(name)}


def hidden(settings: Any) -> Any:
    """Nested plain values with the secret ones in them hidden."""
    if isinstance(settings, Mapping):
        return {name: HIDDEN if value and is_secret(str(name)) else hidden(value) for name, value in settings.items()}
    return [hidden(value) for value in settings] if isinstance(settings, list | tuple) else settings


def secret_names(settings: Any, above: str = "") -> list[str]:
    """The dotted names of the values that `hidden` hides; `above` stands before each."""
    if not isinstance(settings, Mapping | list | tuple):
        return []
    found = []
    for name, value in settings.items() if isinstance(settings, Mapping) else enumerate(settings):
        if value and is_secret(str(name)):
            found.append(f"{above}{name}")
        else:
            found += secret_names(value, f"{above}{name}.")
    return found


def secret_values(settings: Any) -> list[str]:
    """The values that `hidden` hides, as texts."""
    if isinstance(settings, Mapping):
        given = [str(value) for name, value in settings.items() if value and is_secret(str(name))]
        return given + [
            text for name, value in settings.items() if not is_secret(str(name)) for text in secret_values(value)
        ]
    return [text for value in settings for text in secret_values(value)] if isinstance(settings, list | tuple) else []


def without(text: str, values: Iterable[str]) -> str:
    """A text in which these values are hidden, also where it holds them as Python or JSON writes them."""
    forms = {form for value in values for form in (value, repr(value)[1:-1], json.dumps(value)[1:-1]) if form}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def hidden_word(word: str) -> str:
    """A word of a command line: NAME=VALUE without the value of a secret, or of a dict that holds one."""
    name, given, value = word.partition("=")
    within = _NAME_WITHIN.findall(value) if "{" in value else []
    return f"{name}={HIDDEN}" if given and any(map(is_secret, [name.lstrip("+"), *within])) else word
