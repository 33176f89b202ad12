"""State that a checkpoint must hold: files that are written atomically and read strictly.

A file is one safetensors file: the arrays of a nested dict as tensors, everything else as JSON in its header, with a
checksum over both. Nothing in it is executed on reading.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from verl_dots.files import write_atomically
from verl_dots.settings import Refusal

FORMAT = 1
HEADER = "verl_dots"
# A character that no key of a state holds.
JOIN = "/"


class StateError(Refusal):
    """A state file is missing, damaged, or belongs to another run; the message names it and both sides.

    Its key is the file, or the name of what differs.
    """


def save_state(path: Path, kind: str, state: Mapping[str, Any]) -> None:
    """Write a state atomically: after a crash there is the old file or the new one, never half of one.

    Args:
        path: the file.
        kind: what it is a state of; asked for again on reading.
        state: nested dicts of arrays and JSON values, keys without "/".
    """
    arrays: dict[str, np.ndarray] = {}
    plain = _split(state, "", arrays)
    header = {"format": FORMAT, "kind": kind, "state": plain, "checksum": _checksum(plain, arrays)}
    write_atomically(path, lambda partial: save_file(arrays, partial, metadata={HEADER: json.dumps(header)}))


def load_state(path: Path, kind: str) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises:
        StateError: there is no such file, it is damaged, or it is of another kind or format.
    """
    if not path.is_file():
        text = f"there is no state file {path}; it is written with every checkpoint of a run that needs it"
        raise StateError(text, key=str(path), reason="file")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[HEADER])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        found = (header["format"], header["kind"], header["checksum"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        text = f"state file {path} is damaged ({error}); resume from an earlier checkpoint"
        raise StateError(text, key=str(path), reason="damaged") from error
    if found[:2] != (FORMAT, kind):
        text = f"state file {path} holds {found[1]!r} in format {found[0]}, not {kind!r} in format {FORMAT}"
        raise StateError(text, key=str(path), reason="other run")
    if found[2] != _checksum(header["state"], arrays):
        text = f"state file {path} is damaged (checksum differs); resume from an earlier checkpoint"
        raise StateError(text, key=str(path), reason="damaged")
    return _join(header["state"], arrays)


def require_equal(what: str, saved: Any, here: Any) -> None:
    """Raise StateError unless a saved value is the one that this run has."""
    if saved != here:
        raise StateError(
            f"{what}: the checkpoint has {saved!r}, this run has {here!r}; resume with its own settings and data, "
            "or begin anew in another folder",
            key=what,
            reason="other run",
        )


def require_keys(what: str, state: Mapping[str, Any], keys: set[str]) -> None:
    """Raise StateError unless a saved state has exactly these keys."""
    if set(state) != keys:
        text = f"{what}: the checkpoint lacks {sorted(keys - set(state))} and has unknown {sorted(set(state) - keys)}"
        raise StateError(text, key=what, reason="other run")


def _split(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """JSON of a value; arrays go into `arrays` and leave {"array": name} in their place."""
    if isinstance(value, np.ndarray):
        arrays[name] = np.ascontiguousarray(value)
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
    if not isinstance(plain, Mapping):
        return plain
    (form, inner), *_ = plain.items()
    if form == "array":
        return arrays[inner]
    if form == "list":
        return [_join(value, arrays) for value in inner]
    return {key: _join(value, arrays) for key, value in inner.items()}


def _checksum(plain: Any, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name}:{arrays[name].dtype.str}:{arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
