"""A matrix of runs: methods, and what they are compared on; `matrix_file` reads it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from verl_dots.settings import Refusal

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

    Those of combinations that are apart are not. `overrides` are of `verl_dots.evaluate`, below those of a combination.
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
        stands_for: row of a paper's table; several of several papers.
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
    stands_for: str | tuple[str, ...]
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
class Quick:
    """What `quickened` narrows a matrix down to."""

    methods: tuple[str, ...]
    combinations: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int
    test_freq: int
    time: Timing


@dataclass(frozen=True)
class Matrix:
    """A file: `name` is that of the file; `quick` narrows it down, see `quickened`; without `evaluate` no run is."""

    name: str
    methods: Mapping[str, Method]
    combinations: Mapping[str, Combination]
    seeds: tuple[int, ...]
    time: Timing
    inputs: Mapping[str, Input]
    quick: Quick | None
    evaluate: Evaluating | None = None


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
        MatrixError: a name is unknown, a seed or a round is there twice or below 0 or 1, or there is no step.
    """
    require_known("--methods", methods, matrix.methods)
    require_known("--combinations", combinations, matrix.combinations)
    require_different("--seeds", seeds, least=0)
    require_different("--rounds", rounds, least=1)
    if steps is not None and steps < 1:
        raise MatrixError(f"--steps {steps}; give a number of 1 or more", key="--steps", reason="range")
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
    if quick is None:
        raise MatrixError(f"{matrix.name}.yaml has no entry `quick`", key="quick", reason="missing")
    few = narrowed(matrix, quick.methods, quick.combinations, quick.seeds)
    shorter = {name: replace(of, steps=quick.steps, test_freq=quick.test_freq) for name, of in few.combinations.items()}
    return replace(few, name=f"{few.name}-quick", combinations=shorter, time=quick.time, evaluate=None)


def require_known(where: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise MatrixError for the first of some names that is not known."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1) or sorted(known)
            text = f"{where}: there is no {name!r}; did you mean {', '.join(near)}?"
            raise MatrixError(text, key=str(name), reason="unknown")


def require_different(where: str, numbers: Sequence[int], least: int) -> None:
    """Raise MatrixError for numbers of which one is below `least`, or there twice: its runs would share a folder."""
    for number in numbers:
        if number < least or list(numbers).count(number) > 1:
            text = f"{where} {' '.join(map(str, numbers))}; give different numbers of {least} or more"
            raise MatrixError(text, key=where, reason="range")
