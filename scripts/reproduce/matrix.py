"""Read a matrix of runs, recipes/evidence/NAME.yaml, and what its combinations are made from, inputs.yaml beside it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from verl_dots.settings import Refusal

INPUTS = "inputs.yaml"
BASELINE = "grpo"


class MatrixError(Refusal):
    """A matrix that says something unknown, or lacks something; the message names the entry."""


@dataclass(frozen=True)
class Timing:
    """Runs that count for the time of a step: `steps` of each, in rounds 1 to `rounds`, or in `some` of them alone."""

    steps: int
    rounds: int
    some: tuple[int, ...] = ()

    @property
    def numbers(self) -> Sequence[int]:
        """Of the rounds, each the seed of its runs."""
        return self.some or range(1, self.rounds + 1)


@dataclass(frozen=True)
class Evaluating:
    """`methods` whose accuracy runs are evaluated at their end, by so many `rollouts` a validation question.

    `overrides` are of `verl_dots.evaluate`, below those of a combination.
    """

    methods: tuple[str, ...]
    rollouts: int
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """A recipe of recipes/cpu, and the overrides that make it this method.

    Attributes:
        timed: overrides of its timing runs alone.
        only: combinations on which it is run, for a table of a paper; all where empty.
    """

    name: str
    recipe: str
    overrides: tuple[str, ...] = ()
    timed: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def runs_on(self, combination: str) -> bool:
        """Whether it is run on a combination."""
        return not self.only or combination in self.only


@dataclass(frozen=True)
class Combination:
    """What methods are compared on.

    Attributes:
        title: for a reader.
        model: folder, or name on the hub.
        data: folder with train.parquet and val.parquet.
        learning_rate: of every method, GRPO's best.
        batch: questions of a step; a step is one update.
        steps: of a run.
        test_freq: steps from one validation to the next.
        chosen: the rule by which the learning rate and the steps were chosen.
        row: of a paper's table, which this stands for; several of several papers.
        save_freq: steps from one checkpoint to the next; -1 for none.
        overrides: for all methods, above all others but `of_method`.
        of_method: overrides of single methods.
        apart: whether the mean of combinations leaves it out.
    """

    name: str
    title: str
    model: str
    data: str
    learning_rate: str
    batch: int
    steps: int
    test_freq: int
    chosen: str
    row: str | tuple[str, ...]
    save_freq: int = 10
    overrides: tuple[str, ...] = ()
    of_method: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: bool = False


@dataclass(frozen=True)
class Input:
    """A folder that is made: which ones it needs first, and commands of bash, run with its place in OUT."""

    path: str
    make: tuple[str, ...]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """A file: `name` is that of the file; `quick` narrows it down, see `quickened`; without `evaluate` no run is."""

    name: str
    methods: Mapping[str, Method]
    combinations: Mapping[str, Combination]
    seeds: tuple[int, ...]
    time: Timing
    inputs: Mapping[str, Input]
    quick: Mapping[str, Any]
    evaluate: Evaluating | None = None


def read_matrix(path: Path) -> Matrix:
    """Read a matrix and its inputs.

    Raises:
        MatrixError: an unknown or missing entry, or one of another type.
    """
    found = _load(path)
    _require(str(path), found, {"seeds", "methods", "time", "combinations"}, {"quick", "evaluate"})
    inputs_file = path.with_name(INPUTS)
    methods = {
        name: Method(name, **_texts(f"{path}: methods.{name}", {"recipe": name} | (given or {}), Method, {"name"}))
        for name, given in found["methods"].items()
    }
    combinations = {
        name: _combination(f"{path}: combinations.{name}", name, given, methods)
        for name, given in found["combinations"].items()
    }
    for name, method in methods.items():
        require_known(f"{path}: methods.{name}.only", method.only, combinations)
    inputs = {
        name: Input(name, **_texts(f"{inputs_file}: {name}", given, Input, {"path"}))
        for name, given in _load(inputs_file).items()
    }
    for one in inputs.values():
        require_known(f"{inputs_file}: {one.path}.needs", one.needs, inputs)
    time = _texts(f"{path}: time", found["time"], Timing, set())
    quick = _quick(f"{path}: quick", found.get("quick") or {}, methods, combinations)
    evaluate = _evaluating(f"{path}: evaluate", found.get("evaluate"), methods)
    return Matrix(path.stem, methods, combinations, tuple(found["seeds"]), Timing(**time), inputs, quick, evaluate)


def narrowed(
    matrix: Matrix,
    methods: Sequence[str] = (),
    combinations: Sequence[str] = (),
    seeds: Sequence[int] = (),
    steps: int | None = None,
    rounds: Sequence[int] = (),
) -> Matrix:
    """The matrix with some methods, combinations and rounds, without a list with all; with other seeds and steps.

    Raises:
        MatrixError: a name is unknown.
    """
    require_known("--methods", methods, matrix.methods)
    require_known("--combinations", combinations, matrix.combinations)
    chosen = {name: of for name, of in matrix.combinations.items() if name in combinations or not combinations}
    if steps is not None:
        chosen = {name: replace(of, steps=steps) for name, of in chosen.items()}
    return replace(
        matrix,
        methods={name: of for name, of in matrix.methods.items() if name in methods or not methods},
        combinations=chosen,
        seeds=tuple(seeds) or matrix.seeds,
        time=replace(matrix.time, steps=matrix.time.steps if steps is None else steps, some=tuple(rounds)),
    )


def quickened(matrix: Matrix) -> Matrix:
    """The small matrix of --quick: some methods, combinations and seeds, and fewer steps, under a name of its own."""
    quick = matrix.quick
    if not quick:
        raise MatrixError(f"{matrix.name}.yaml has no entry `quick`", key="quick", reason="missing")
    few = narrowed(matrix, quick["methods"], quick["combinations"], quick["seeds"])
    shorter = {
        name: replace(of, steps=quick["steps"], test_freq=quick["test_freq"]) for name, of in few.combinations.items()
    }
    return replace(few, name=f"{few.name}-quick", combinations=shorter, time=Timing(**quick["time"]), evaluate=None)


def require_known(where: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise MatrixError for the first of some names that is not known."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1) or sorted(known)
            text = f"{where}: there is no {name!r}; did you mean {', '.join(near)}?"
            raise MatrixError(text, key=str(name), reason="unknown")


def _combination(where: str, name: str, given: Mapping[str, Any], methods: Mapping[str, Method]) -> Combination:
    values = _texts(where, given, Combination, {"name"})
    require_known(f"{where}.of_method", values.get("of_method", {}), methods)
    for key in ("batch", "steps", "test_freq"):
        if not isinstance(values[key], int) or values[key] < 1:
            raise MatrixError(f"{where}.{key} is {values[key]!r}; give a number of 1 or more", key=key, reason="range")
    return Combination(name, **values | {"learning_rate": str(values["learning_rate"])})


def _quick(where: str, given: Mapping[str, Any], methods: Mapping, combinations: Mapping) -> Mapping[str, Any]:
    if given:
        _require(where, given, {"methods", "combinations", "seeds", "steps", "test_freq", "time"}, set())
        require_known(f"{where}.methods", given["methods"], methods)
        require_known(f"{where}.combinations", given["combinations"], combinations)
    return given


def _evaluating(where: str, given: Any, methods: Mapping) -> Evaluating | None:
    if not given:
        return None
    values = _texts(where, given, Evaluating, set())
    require_known(f"{where}.methods", values["methods"], methods)
    if type(values["rollouts"]) is not int or values["rollouts"] < 1:
        text = f"{where}.rollouts is {values['rollouts']!r}; give a number of 1 or more"
        raise MatrixError(text, key="rollouts", reason="range")
    return Evaluating(**values)


def _texts(where: str, given: Mapping[str, Any], kind: type, without: set[str]) -> dict[str, Any]:
    """Fields of a dataclass as the file gives them; lists become tuples."""
    names = {one.name: one for one in fields(kind) if one.name not in without}
    needed = {name for name, one in names.items() if one.default is MISSING and one.default_factory is MISSING}
    _require(where, given, needed, set(names) - needed)
    return {name: _frozen(value) for name, value in given.items()}


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _frozen(of) for name, of in value.items()}
    return tuple(map(str, value)) if isinstance(value, list) else value


def _require(where: str, given: Any, needed: set[str], allowed: set[str]) -> None:
    if not isinstance(given, Mapping):
        raise MatrixError(f"{where} is {given!r}; it must hold {sorted(needed)}", key=where, reason="type")
    if missing := sorted(needed - set(given)):
        raise MatrixError(f"{where} lacks {', '.join(missing)}", key=missing[0], reason="missing")
    require_known(where, given, needed | allowed)


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise MatrixError(f"{path} cannot be read: {error}", key=str(path), reason="file") from error
