"""Questions of a task, drawn evenly over its levels, as train.parquet and val.parquet in verl's schema.

No prompt occurs twice, in one split or in both. Validation questions depend on ``--seed`` and ``--val`` only, so they
stay the same when the training set grows. The same arguments give the same bytes.
"""

import argparse
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

from data_prep.schema import make_row, write_rows
from verl_dots.data.provenance import made_by
from verl_dots.files import try_output

logger = logging.getLogger(__name__)

VERSION = 1
TRIES_PER_QUESTION = 400
# Shares of a level's cell in the training set: of the lower half of the levels, and of the upper.
SKEWS = {"even": (1, 1), "easy": (2, 1), "hard": (1, 2)}


class Problem(Protocol):
    """A question whose answer can be compared as text."""

    family: str
    level: int
    question: str

    @property
    def answer(self) -> str: ...


@dataclass(frozen=True)
class Task:
    """A task: arithmetic, the ladder or stories.

    Attributes:
        name: data source of the rows.
        cells: (family, level), each with the same share.
        facts: provenance.
        shown: questions and responses that each prompt shows first, as turns of the chat.
    """

    name: str
    cells: tuple[tuple[str, int], ...]
    make: Callable[[str, int, Random], Problem]
    facts: Mapping[str, Any]
    shown: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Splits:
    """Problems of both splits, in the order of the files."""

    train: tuple[Problem, ...]
    val: tuple[Problem, ...]


def prompt_of(question: str, shown: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """The chat messages that carry a question, after those of the questions and responses that are shown."""
    turns = [(role, text) for pair in shown for role, text in zip(("user", "assistant"), pair, strict=True)]
    return [{"role": role, "content": text} for role, text in (*turns, ("user", question))]


def draw_new(task: Task, family: str, level: int, rng: Random, taken: Collection[str]) -> Problem:
    """Draw a problem whose question is not in ``taken``.

    Raises ValueError when `TRIES_PER_QUESTION` draws in a row were taken: the level is (nearly) used up.
    """
    for _ in range(TRIES_PER_QUESTION):
        problem = task.make(family, level, rng)
        if problem.question not in taken:
            return problem
    used = len(taken)
    raise ValueError(
        f"family {family!r} level {level} has no more distinct questions after {used} questions in all; "
        "ask for fewer questions (--train, --val)"
    )


def sample_splits(task: Task, train: int, val: int, seed: int, skew: str = "even") -> Splits:
    """Draw ``val`` and ``train`` distinct problems in shuffled order, ``val`` evenly over families and levels.

    Args:
        skew: one of `SKEWS`; with "easy" a level of the lower half has twice as many training questions as one of the
            upper, with "hard" half as many.

    Raises ValueError for sizes below 1, a negative seed, or more questions than a level has.
    """
    for name, size in (("train", train), ("val", val)):
        if size < 1:
            raise ValueError(f"--{name} must be at least 1, got {size}")
    if seed < 0:
        raise ValueError(f"--seed must be 0 or more, got {seed}")
    taken: set[str] = set()
    val_problems = _sample_split(task, task.cells, val, Random(f"{seed}/val"), taken)
    cells = skewed(task.cells, *SKEWS[skew])
    return Splits(train=_sample_split(task, cells, train, Random(f"{seed}/train"), taken), val=val_problems)


def skewed(cells: Sequence[tuple[str, int]], lower: int, upper: int) -> list[tuple[str, int]]:
    """The cells, those of the lower half of the levels ``lower`` times and the others ``upper`` times."""
    half = max(level for _, level in cells) / 2
    rounds = [[cell for cell in cells if k < (lower if cell[1] <= half else upper)] for k in range(max(lower, upper))]
    return [cell for one in rounds for cell in one]


def _sample_split(
    task: Task, cells: Sequence[tuple[str, int]], size: int, rng: Random, taken: set[str]
) -> tuple[Problem, ...]:
    """Draw ``size`` problems, cell after cell and round again, and add their questions to ``taken``."""
    problems = []
    for i in range(size):
        problem = draw_new(task, *cells[i % len(cells)], rng, taken)
        taken.add(problem.question)
        problems.append(problem)
    rng.shuffle(problems)
    return tuple(problems)


def rows_of(task: Task, problems: Sequence[Problem], split: str) -> list[dict[str, Any]]:
    """Rows in verl's schema, one per problem, numbered from 0."""
    return [
        make_row(
            data_source=task.name,
            prompt=prompt_of(problem.question, task.shown),
            ability="math",
            ground_truth=problem.answer,
            index=index,
            split=split,
            extra={"family": problem.family, "level": problem.level, "question": problem.question},
        )
        for index, problem in enumerate(problems)
    ]


def write_splits(task: Task, out: Path, train: int, val: int, seed: int, skew: str = "even") -> dict[str, Path]:
    """Write both files into ``out`` and return their paths by split."""
    for name in ("train", "val"):
        try_output(out / f"{name}.parquet", made=made_by(f"data_prep.{task.name}"))
    splits = sample_splits(task, train, val, seed, skew)
    paths = {}
    for name, problems in (("train", splits.train), ("val", splits.val)):
        provenance = {
            "generator": f"data_prep.{task.name}", "version": VERSION, "split": name, "seed": seed,
            "train": train, "val": val, **task.facts,
        }  # fmt: skip
        if skew != "even":
            provenance["skew"] = skew
        paths[name] = out / f"{name}.parquet"
        write_rows(rows_of(task, problems, name), paths[name], provenance)
        logger.info("wrote %d %s questions to %s", len(problems), name, paths[name])
    return paths


def command(task: Task, description: str, arguments: Sequence[str] | None) -> None:
    """Command line of a task; bad values end with a usage message and exit status 2."""
    parser = argparse.ArgumentParser(
        prog=f"python -m data_prep.{task.name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for train.parquet and val.parquet")
    parser.add_argument("--train", type=int, default=4096, help="number of training questions (default: %(default)s)")
    parser.add_argument("--val", type=int, default=512, help="number of validation questions (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the questions (default: %(default)s)")
    parser.add_argument(
        "--skew",
        choices=SKEWS,
        default="even",
        help="two thirds of the training questions are of the lower (easy) or upper (hard) half of the levels "
        "(default: %(default)s)",
    )
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        write_splits(task, args.out, args.train, args.val, args.seed, args.skew)
    except ValueError as error:
        parser.error(str(error))
