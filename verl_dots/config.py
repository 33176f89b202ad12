"""The config group `dots`: typed, and validated before Ray starts.

Everything else in a run's config is verl's own (see conf/dots_trainer.yaml).
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints


class ConfigError(ValueError):
    """A setting that cannot work; the message says which, what is allowed, and what to do."""


@dataclass(frozen=True)
class DotsConfig:
    """Settings of verl_dots; with the defaults a run is plain GRPO.

    Attributes:
        seed: of the whole run: order of the data, sampling of responses, mini-batches. The same seed gives
            the same run on a CPU.
        poll_seconds: how often the trainer looks whether the rollouts of a step are complete.
    """

    seed: int = 1
    poll_seconds: float = 0.05

    def __post_init__(self):
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"dots.seed={self.seed}: must be in 0..{2**31 - 1}")
        if not 0 < self.poll_seconds <= 60:
            raise ConfigError(f"dots.poll_seconds={self.poll_seconds}: must be above 0 and at most 60 seconds")

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> "DotsConfig":
        """Build from plain values.

        Raises:
            ConfigError: an unknown key (the nearest known one is named), a value of another type or range.
        """
        hints = get_type_hints(cls)
        values = {}
        for key, value in given.items():
            if key not in hints:
                raise ConfigError(unknown_key(f"dots.{key}", [f"dots.{field.name}" for field in fields(cls)]))
            values[key] = _typed(f"dots.{key}", value, hints[key])
        return cls(**values)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Message for a key that is not there: the nearest known one first, then all of them if they are few."""
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listing = f" Known: {', '.join(known)}." if len(known) <= 30 else ""
    return f"unknown config key {key!r}{hint}{listing}"


def _typed(key: str, value: Any, kind: type) -> Any:
    """`value` as `kind` (an int is a float too), or an error that shows both."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{key}={value!r} is of type {type(value).__name__}; it must be of type {kind.__name__}")
