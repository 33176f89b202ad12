"""State that a checkpoint must hold: files that are written atomically and read strictly.

A file is one safetensors file: the arrays of a nested dict as tensors, everything else as JSON in its header, with a
checksum over both. Nothing in it is executed on reading.

Its header names the format of the file, the kind of the state and the version of that kind. A state of an earlier
version is brought to the present one by its reader, or refused; so is any of a later version.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from verl_dots.files import parse_json, write_atomically
from verl_dots.settings import Refusal

FORMAT = 1
HEADER = "verl_dots"
# A character that no key of a state holds.
JOIN = "/"
FIELDS = {"format": int, "kind": str, "state": dict, "checksum": str}
# What reading raises of values that we never write: numpy has no name for some types of safetensors.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
# Brings a state of an earlier version to the next one, or raises StateError.
Migration = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """What a file is a state of. A name alone stands for its first version.

    Attributes:
        name: asked for again on reading.
        version: counted from 1; another one where what the state holds has changed.
        migrations: by the version of a state that each takes to the next; states of others are refused.
    """

    name: str
    version: int = 1
    migrations: Mapping[int, Migration] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: "Kind | str") -> "Kind":
        """A kind by its name, or itself."""
        return kind if isinstance(kind, cls) else cls(kind)


class StateError(Refusal):
    """A state file is missing, damaged, or belongs to another run; the message names it and both sides.

    Its key is the file, or the name of what differs.
    """


def save_state(path: Path, kind: Kind | str, state: Mapping[str, Any]) -> None:
    """Write a state atomically: after a crash there is the old file or the new one, never half of one.

    Args:
        path: the file.
        kind: of the state.
        state: nested dicts of arrays and JSON values, keys without "/".
    """
    kind, arrays = Kind.of(kind), dict[str, np.ndarray]()
    plain = _split(state, "", arrays)
    told = {"format": FORMAT, "kind": kind.name, "version": kind.version}
    header = told | {"state": plain, "checksum": _checksum(plain, arrays)}
    write_atomically(path, lambda partial: save_file(arrays, partial, metadata={HEADER: json.dumps(header)}))


def load_state(path: Path, kind: Kind | str) -> dict[str, Any]:
    """Read what `save_state` wrote, in the version of `kind`.

    Raises:
        StateError: there is no such file, it is damaged, or it is of another kind, format or version.
    """
    kind = Kind.of(kind)
    if not path.is_file():
        text = f"there is no state file {path}; it is written with every checkpoint of a run that needs it"
        raise StateError(text, key=str(path), reason="file")
    try:
        with safe_open(path, framework="numpy") as file:
            header = _checked(parse_json((file.metadata() or {})[HEADER]))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        checksum = _checksum(header["state"], arrays)
    except (SafetensorError, OSError, *UNREADABLE) as error:
        raise _damaged(path, error) from error
    found = (header["kind"], header["format"])
    if found != (kind.name, FORMAT):
        text = f"state file {path} holds {found[0]!r:.60} in format {found[1]}, not {kind.name!r} in format {FORMAT}"
        raise StateError(text, key=str(path), reason="other run")
    if header["checksum"] != checksum:
        raise _damaged(path, "checksum differs")
    try:
        state = _join(header["state"], arrays)
    except UNREADABLE as error:
        raise _damaged(path, f"its header describes no state: {error!r:.200}") from error
    return _migrated(path, state, header.get("version", 1), kind)


def _checked(header: Any) -> dict[str, Any]:
    """A header that has all of its fields, each of its type. Raises ValueError for any other value."""
    if not isinstance(header, dict):
        raise ValueError(f"its header is {json.dumps(header):.40}, no JSON object")
    for name, kind in FIELDS.items():
        if type(header.get(name)) is not kind:
            told = f"{json.dumps(header[name]):.40}" if name in header else "missing"
            raise ValueError(f"{name!r} of its header is {told}, not of type {kind.__name__}")
    if type(header.get("version", 1)) is not int or header.get("version", 1) < 1:
        raise ValueError(f"'version' of its header is {header['version']!r}, not a number from 1")
    if list(header["state"]) != ["dict"]:
        raise ValueError("'state' of its header describes no dict")
    return header


def _migrated(path: Path, state: dict[str, Any], found: int, kind: Kind) -> dict[str, Any]:
    """A state of version `found` in the version of its kind."""
    where = f"state file {path} is of version {found}, and this verl_dots reads version {kind.version}"
    ways_out = "Resume with the verl_dots that run.json names, or begin in another folder"
    if found > kind.version:
        raise StateError(f"{where}: a later one wrote it. {ways_out}", key=str(path), reason="other run")
    for version in range(found, kind.version):
        if version not in kind.migrations:
            text = f"{where}: what version {version} held is too little for version {version + 1}. {ways_out}"
            raise StateError(text, key=str(path), reason="other run")
        try:
            state = kind.migrations[version](state)
        except StateError:
            raise
        except UNREADABLE as error:
            raise _damaged(path, f"it is no state of version {version}: {error!r:.200}") from error
    return state


def _damaged(path: Path, why: object) -> StateError:
    text = f"state file {path} is damaged ({why!s:.300}); resume from an earlier checkpoint"
    return StateError(text, key=str(path), reason="damaged")


def require_equal(what: str, saved: Any, here: Any) -> None:
    """Raise StateError unless a saved value is the one that this run has."""
    if not _same(saved, here):
        raise StateError(
            f"{what}: the checkpoint has {saved!r:.200}, this run has {here!r:.200}; resume with its own settings "
            "and data, or begin anew in another folder",
            key=what,
            reason="other run",
        )


def _same(saved: Any, here: Any) -> bool:
    """Whether two values without arrays are equal; nothing is equal to an array."""
    if isinstance(here, Mapping):
        return (
            isinstance(saved, Mapping) and set(saved) == set(here) and all(_same(saved[key], here[key]) for key in here)
        )
    if isinstance(here, list | tuple):
        alike = isinstance(saved, list | tuple) and len(saved) == len(here)
        return alike and all(map(_same, saved, here))
    return isinstance(saved, bool | int | float | str | None) and saved == here


def require_keys(what: str, state: Mapping[str, Any], keys: set[str]) -> None:
    """Raise StateError unless a saved state is a dict with exactly these keys."""
    if not isinstance(state, Mapping):
        text = f"{what}: the checkpoint has {state!r:.60}, no dict with the keys {sorted(keys)}"
        raise StateError(text, key=what, reason="other run")
    if set(state) != keys:
        text = f"{what}: the checkpoint lacks {sorted(keys - set(state))} and has unknown {sorted(set(state) - keys)}"
        raise StateError(text, key=what, reason="other run")


def _split(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """JSON of a value; arrays go into `arrays` and leave {"array": name} in their place."""
    if isinstance(value, np.ndarray):
        # As safetensors keeps it; of any shape, also of none.
        arrays[name] = np.asarray(value, value.dtype.newbyteorder("="), order="C")
        return {"array": name}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or JOIN in key:
                raise TypeError(f"keys of a state are strings without {JOIN!r}, got {key!r}")
        return {"dict": {key: _split(inner, f"{name}{JOIN}{key}", arrays) for key, inner in value.items()}}
    if isinstance(value, list | tuple):
        return {"list": [_split(inner, f"{name}{JOIN}{place}", arrays) for place, inner in enumerate(value)]}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a state cannot hold {type(value).__name__} (at {name or 'the top'})")


def _join(plain: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """What `_split` has split. Raises KeyError, TypeError or ValueError for what it has not."""
    if not isinstance(plain, Mapping):
        if isinstance(plain, list):
            raise ValueError(f"a list outside of an object: {plain!r:.40}")
        return plain
    ((form, inner),) = plain.items()
    if form == "array":
        return arrays[inner]
    if form == "list" and isinstance(inner, list):
        return [_join(value, arrays) for value in inner]
    if form == "dict" and isinstance(inner, Mapping):
        return {key: _join(value, arrays) for key, value in inner.items()}
    raise ValueError(f"{form!r} of {inner!r:.40} is no form of a value")


def _checksum(plain: Any, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name}:{arrays[name].dtype.str}:{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8))  # no copy of its bytes
    return digest.hexdigest()
