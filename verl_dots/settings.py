"""Typed groups of settings, what they say of themselves, and how a wrong one is refused."""

import difflib
import inspect
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from types import UnionType
from typing import Any, ClassVar, Literal, Self, get_args, get_type_hints

# Which rule was broken; messages may change their words, these stay.
Reason = Literal[
    "unknown",  # there is no such key or name
    "renamed",  # the key has another name now
    "type",  # of another type
    "range",  # of this type, and outside of what is allowed
    "choice",  # none of the names that are allowed
    "missing",  # it must be set, or another key must
    "excluded",  # right alone, and wrong with another key
    "size",  # numbers that do not fit each other
    "file",  # a file, folder, model or function that is not there or cannot be used
    "data",  # rows of the data
    "machine",  # devices and the environment
    "damaged",  # a file of ours that is cut short or changed
    "other run",  # what is there is of another run, version or settings
    "verl",  # verl's own check
]
LARGEST = 2**63 - 1  # what arrays and checkpoints hold of a whole number
ATTRIBUTE = re.compile(r"^    (?P<names>\w+(, \w+)*): (?P<text>.*)$")


class Refusal(ValueError):
    """Something that cannot work, and was not begun: the message says what, what is allowed, and what to do.

    Attributes:
        key: what to look at: dotted name of a setting, a column, option, file, or entry of a state; of two that exclude
            each other, the first. "" where there is none.
        reason: which rule was broken, for whoever must not depend on the words.
        choices: of a setting with names for values, those that it takes.
    """

    def __init__(
        self, message: str, *, key: str = "", reason: Reason | Literal[""] = "", choices: tuple[str, ...] = ()
    ):
        super().__init__(message)
        self.key, self.reason, self.choices = key, reason, choices


class ConfigError(Refusal):
    """A setting that cannot work."""


class Settings:
    """A group of settings that can be built from plain values.

    Attributes:
        RENAMED: earlier name of a setting -> its name now.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], name: str = "dots") -> Self:
        """Build from plain values.

        Raises:
            ConfigError: an unknown key (the nearest known one is named), a value of another type or range, or none
                for a setting without a default.
        """
        kinds = get_type_hints(cls)
        hints = {field.name: kinds[field.name] for field in fields(cls)}
        values = {}
        for key, value in given.items():
            if key in cls.RENAMED:
                raise renamed_key(f"{name}.{key}", f"{name}.{cls.RENAMED[key]}")
            if key not in hints:
                raise unknown_key(f"{name}.{key}", [f"{name}.{known}" for known in hints])
            values[key] = _typed(f"{name}.{key}", value, hints[key])
        for field in fields(cls):
            if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
                key = f"{name}.{field.name}"
                raise ConfigError(f"{key} is missing; set it", key=key, reason="missing")
        return cls(**values)


def plain_values(settings: Settings) -> dict[str, Any]:
    """A group of settings as YAML would hold it: tuples as lists, whole numbers without a point."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, tuple):
            return [plain(inner) for inner in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return plain(asdict(settings))


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Values by their dotted names, in their order; lists and empty groups are values. `above` stands before each."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{above}{key}.") if value and isinstance(value, Mapping) else {f"{above}{key}": value}
    return found


def unknown_key(key: str, known: Iterable[str]) -> ConfigError:
    """The refusal of a key that is not there: the nearest known one first, then all of them if they are few."""
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listing = f" Known: {', '.join(known)}." if len(known) <= 30 else ""
    return ConfigError(f"unknown config key {key!r}{hint}{listing}", key=key, reason="unknown")


def renamed_key(key: str, now: str) -> ConfigError:
    """The refusal of a key that has another name now."""
    return ConfigError(f"{key} is called {now} now; set {now} instead", key=key, reason="renamed")


def renamed_keys(kind: type[Settings], prefix: str) -> dict[str, str]:
    """Dotted names of earlier settings -> their names now."""
    found = {f"{prefix}.{old}": f"{prefix}.{now}" for old, now in kind.RENAMED.items()}
    for field in fields(kind):
        if is_dataclass(field.default_factory):
            found |= renamed_keys(field.default_factory, f"{prefix}.{field.name}")
    return found


def with_new_names(kind: type[Settings], given: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a group as an earlier version wrote them, under the names of now."""
    inner = {field.name: field.default_factory for field in fields(kind) if is_dataclass(field.default_factory)}
    found = {}
    for key, value in given.items():
        name = kind.RENAMED.get(key, key)
        found[name] = with_new_names(inner[name], value) if name in inner and isinstance(value, Mapping) else value
    return found


def is_too_large(value: Any) -> bool:
    """Whether a value is a whole number that no array and no checkpoint holds."""
    return isinstance(value, int) and abs(value) > LARGEST


def too_large(key: str, value: int) -> ConfigError:
    """The refusal of such a number, which may have more digits than Python writes."""
    words = f"{key} is a number of {value.bit_length()} bits: must be one in {-LARGEST}..{LARGEST}"
    return ConfigError(words, key=key, reason="range")


def require(key: str, value: Any, holds: bool, rule: str, reason: Reason = "range") -> None:
    """Raise ConfigError unless `holds`; the rule reads "must be ..."."""
    if not holds:
        raise ConfigError(f"{key}={value}: {rule}", key=key, reason=reason)


def require_choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigError unless the value is one of the allowed names."""
    if value not in allowed:
        text = f"{key}={value}: must be one of {', '.join(allowed)}"
        raise ConfigError(text, key=key, reason="choice", choices=allowed)


def choices_of(kind: type[Settings], name: str) -> tuple[str, ...]:
    """The names that a setting takes, as its refusal of another one has them; none where it takes any value."""
    (field,) = (field for field in fields(kind) if field.name == name)
    try:
        kind(**{name: ""} if isinstance(field.default, str) else {})
    except Refusal as refusal:
        return refusal.choices
    return ()


def settings_table(kind: type[Settings], prefix: str) -> Iterator[tuple[list[str], list[Any], str]]:
    """(dotted keys, defaults, meaning) of every setting, in the order that the classes describe them in.

    Settings that are described together are one entry.

    Raises:
        ValueError: a setting that its class does not describe.
    """
    known = {field.name: field for field in fields(kind)}
    told = descriptions(kind)
    if missing := set(known) - {name for names in told for name in names}:
        raise ValueError(f"{kind.__name__} does not describe {sorted(missing)}")
    for names, text in told.items():
        groups = [known[name].default_factory for name in names if is_dataclass(known[name].default_factory)]
        for group in groups:
            yield from settings_table(group, f"{prefix}.{names[0]}")
        if not groups:
            yield [f"{prefix}.{name}" for name in names], [_default(known[name]) for name in names], text


def descriptions(kind: type[Settings]) -> dict[tuple[str, ...], str]:
    """What a settings class says of its attributes: names that are described together, and the text."""
    found: dict[tuple[str, ...], str] = {}
    names: tuple[str, ...] = ()
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    for line in lines[lines.index("Attributes:") + 1 :] if "Attributes:" in lines else []:
        if match := ATTRIBUTE.match(line):
            names = tuple(match["names"].split(", "))
            found[names] = match["text"]
        elif names and line.startswith("     "):
            found[names] += f" {line.strip()}"
        else:
            names = ()
    return found


def shown_default(value: Any) -> str:
    """A default as an override would give it."""
    if value is None:
        return "null"
    return str(list(value)) if isinstance(value, tuple) else str(value) or '""'


def _default(field: Field) -> Any:
    return field.default if field.default is not MISSING else field.default_factory()


def _typed(key: str, value: Any, kind: Any) -> Any:
    """`value` as `kind` (an int is a float too), or an error that shows both."""

    def wrong(must: str) -> ConfigError:
        given = f"{key}={value!r} is of type {type(value).__name__}"
        return ConfigError(f"{given}; it must be {must}", key=key.partition("[")[0], reason="type")

    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise wrong("a group of settings")
        return kind.from_mapping(value, key)
    if isinstance(kind, UnionType):
        return None if value is None else _typed(key, value, get_args(kind)[0])
    if get_args(kind):  # tuple[x, y] or tuple[x, ...]
        parts = get_args(kind)
        if parts[-1] is Ellipsis:
            parts = parts[:1] * (len(value) if isinstance(value, list | tuple) else 1)
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            raise ConfigError(f"{key}={value!r}: must be a list of {len(parts)} values", key=key, reason="type")
        return tuple(_typed(f"{key}[{place}]", part, parts[place]) for place, part in enumerate(value))
    if is_too_large(value):
        raise too_large(key.partition("[")[0], value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}={value}: must be a finite number", key=key.partition("[")[0], reason="range")
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise wrong(f"of type {kind.__name__}")
