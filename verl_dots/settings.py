"""Typed groups of settings from plain values; errors name the key, what was given and what is allowed."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Self, get_args, get_type_hints


class ConfigError(ValueError):
    """A setting that cannot work; the message says which, what is allowed, and what to do."""


class Settings:
    """A group of settings that can be built from plain values."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], name: str = "dots") -> Self:
        """Build from plain values.

        Raises:
            ConfigError: an unknown key (the nearest known one is named), a value of another type or range.
        """
        hints = get_type_hints(cls)
        values = {}
        for key, value in given.items():
            if key not in hints:
                raise ConfigError(unknown_key(f"{name}.{key}", [f"{name}.{known.name}" for known in fields(cls)]))
            values[key] = _typed(f"{name}.{key}", value, hints[key])
        return cls(**values)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Message for a key that is not there: the nearest known one first, then all of them if they are few."""
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listing = f" Known: {', '.join(known)}." if len(known) <= 30 else ""
    return f"unknown config key {key!r}{hint}{listing}"


def require(key: str, value: Any, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{key}={value}: {rule}")


def require_choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    require(key, value, value in allowed, f"must be one of {', '.join(allowed)}")


def _typed(key: str, value: Any, kind: Any) -> Any:
    """`value` as `kind` (an int is a float too), or an error that shows both."""
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key}={value!r} is of type {type(value).__name__}; it must be a group of settings")
        return kind.from_mapping(value, key)
    if isinstance(kind, UnionType):
        return None if value is None else _typed(key, value, get_args(kind)[0])
    if get_args(kind):  # tuple[x, y]
        parts = get_args(kind)
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            raise ConfigError(f"{key}={value!r}: must be a list of {len(parts)} values")
        return tuple(_typed(f"{key}[{place}]", part, parts[place]) for place, part in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}={value}: must be a finite number")
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{key}={value!r} is of type {type(value).__name__}; it must be of type {kind.__name__}")
