"""Read a matrix of runs, recipes/evidence/NAME.yaml, and what its combinations are made from, inputs.yaml beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from scripts.reproduce.matrix import (
    Combination,
    Evaluating,
    Input,
    Matrix,
    MatrixError,
    Method,
    Quick,
    Timing,
    require_known,
)

INPUTS = "inputs.yaml"
NOTHING = (None, {})  # of an entry that need not be there


def read_matrix(path: Path) -> Matrix:
    """Read a matrix and its inputs.

    Raises:
        MatrixError: an unknown or missing entry, or one of another type.
    """
    found = _load(path)
    _require(str(path), found, {"seeds", "methods", "time", "combinations"}, {"quick", "evaluate"})
    inputs_file = path.with_name(INPUTS)
    methods = {
        name: Method(name, **_method(f"{path}: methods.{name}", name, given))
        for name, given in _named(f"{path}: methods", found["methods"]).items()
    }
    combinations = {
        name: Combination(name, **_fields(f"{path}: combinations.{name}", given, Combination, {"name"}))
        for name, given in _named(f"{path}: combinations", found["combinations"]).items()
    }
    inputs = {
        name: Input(name, **_fields(f"{inputs_file}: {name}", given, Input, {"path"}))
        for name, given in _named(str(inputs_file), _load(inputs_file), least=0).items()
    }
    quick, asked = found.get("quick"), found.get("evaluate")
    matrix = Matrix(
        path.stem,
        methods,
        combinations,
        _value(f"{path}: seeds", "seeds", found["seeds"], tuple[int, ...]),
        Timing(**_fields(f"{path}: time", found["time"], Timing)),
        inputs,
        None if quick in NOTHING else Quick(**_fields(f"{path}: quick", quick, Quick)),
        None if asked in NOTHING else Evaluating(**_fields(f"{path}: evaluate", asked, Evaluating)),
    )
    _require_names(path, matrix)
    return matrix


def _require_names(path: Path, matrix: Matrix) -> None:
    """Refuse names of methods, combinations and inputs that are none."""
    for name, method in matrix.methods.items():
        require_known(f"{path}: methods.{name}.only", method.only, matrix.combinations)
    for name, combination in matrix.combinations.items():
        require_known(f"{path}: combinations.{name}.of_method", combination.of_method, matrix.methods)
    for one in matrix.inputs.values():
        require_known(f"{path.with_name(INPUTS)}: {one.path}.needs", one.needs, matrix.inputs)
    if matrix.quick is not None:
        require_known(f"{path}: quick.methods", matrix.quick.methods, matrix.methods)
        require_known(f"{path}: quick.combinations", matrix.quick.combinations, matrix.combinations)
    if matrix.evaluate is not None:
        require_known(f"{path}: evaluate.methods", matrix.evaluate.methods, matrix.methods)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_different(value: Any, least: int) -> bool:
    numbers = isinstance(value, list) and all(type(one) is int and one >= least for one in value)
    return numbers and len(set(value)) == len(value)


def _is_rate(value: Any) -> bool:
    """Whether it is a number above 0; YAML reads 1e-5 as a text."""
    try:
        return not isinstance(value, bool) and 0 < float(value) < math.inf
    except (TypeError, ValueError):
        return False


Rule = tuple[str, Callable[[Any], bool]]  # what to give, and whether a value is so
# Of the type of a field.
KINDS: dict[Any, Rule] = {
    str: ("a text", _is_text),
    int: ("a number of 1 or more", _is_count),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    tuple[str, ...]: ("a list of texts", _are_texts),
    str | tuple[str, ...]: ("a text, or a list of texts", lambda value: _is_text(value) or _are_texts(value)),
    tuple[int, ...]: ("a list of different numbers of 1 or more", lambda value: _are_different(value, 1)),
    Mapping[str, tuple[str, ...]]: (
        "for each method a list of texts",
        lambda value: isinstance(value, Mapping) and all(map(_is_text, value)) and all(map(_are_texts, value.values())),
    ),
}
# Of single fields.
OWN: dict[str, Rule] = {
    "learning_rate": ("a number above 0", _is_rate),
    "save_freq": ("a number of 1 or more, or -1 for none", lambda value: _is_count(value) or value == -1),
    "seeds": ("a list of different numbers of 0 or more", lambda value: bool(value) and _are_different(value, 0)),
}


def _method(where: str, name: str, given: Any) -> dict[str, Any]:
    """The fields of a method, whose recipe has its name unless it is given."""
    given = {} if given is None else given
    _require(where, given, set(), {one.name for one in fields(Method)} - {"name"})
    return _fields(where, {"recipe": name} | given, Method, {"name"})


def _named(where: str, given: Any, least: int = 1) -> Mapping[str, Any]:
    """Entries by their names. Raises MatrixError for fewer than that, and for a name that is no text."""
    if not isinstance(given, Mapping) or len(given) < least or not all(map(_is_text, given)):
        raise MatrixError(f"{where} is {given!r:.200}; give entries, each by its name", key=where, reason="type")
    return given


def _fields(where: str, given: Any, kind: type, without: Collection[str] = ()) -> dict[str, Any]:
    """Fields of a dataclass as the file gives them; lists become tuples."""
    types = get_type_hints(kind)
    names = {one.name: one for one in fields(kind) if one.name not in without}
    needed = {name for name, one in names.items() if one.default is MISSING and one.default_factory is MISSING}
    _require(where, given, needed, set(names) - needed)
    return {name: _value(f"{where}.{name}", name, value, types[name]) for name, value in given.items()}


def _value(where: str, name: str, value: Any, kind: Any) -> Any:
    """A value of a field, refused where it is of another type or range."""
    if is_dataclass(kind):
        return kind(**_fields(where, value, kind))
    words, holds = OWN.get(name) or KINDS[kind]
    if not holds(value):
        reason = "range" if type(value) is int else "type"
        raise MatrixError(f"{where} is {value!r:.200}; give {words}", key=name, reason=reason)
    return str(value) if kind is str else _frozen(value)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _frozen(of) for name, of in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _require(where: str, given: Any, needed: set[str], allowed: set[str]) -> None:
    if not isinstance(given, Mapping):
        held = sorted(needed or allowed)
        raise MatrixError(f"{where} is {given!r:.200}; it must hold {held}", key=where, reason="type")
    if missing := sorted(needed - set(given)):
        raise MatrixError(f"{where} lacks {', '.join(missing)}", key=missing[0], reason="missing")
    require_known(where, given, needed | allowed)


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise MatrixError(f"{path} cannot be read: {error}", key=str(path), reason="file") from error
