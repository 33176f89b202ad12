"""What a model sees before RL: first a good teacher on the easier levels, then a careless one.

The warm-up has two phases. The first teaches the skills (reading the numbers, the arithmetic, the form of an
answer) with right demonstrations of easy and middle levels. The second teaches habits: its teacher is reliable on
easy levels only, often stops its working early on harder ones, sometimes gets a value wrong, and hardly ever shows
the hardest. A model warmed up so knows more than it shows, which is the usual state of a language model before
reinforcement learning: sampled answers to middle levels are sometimes right, and hard levels need generalisation.

The ladder's first phase shows every level right. In its second each letter slips by a chance of its own.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from data_prep import arithmetic, ladder
from data_prep.families import Problem, Step, render_working
from data_prep.ladder import Climb
from data_prep.splits import Task, draw_new
from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import read_rows

STOPS_EARLY = 0.9  # share of the mistakes; the others are one wrong value
PATIENCE = 2  # steps of working before a teacher stops early
SLIPS = (-10, -1, 1, 10)


@dataclass(frozen=True)
class Habit:
    """``share``: relative frequency of a level; ``right``: probability that the teacher takes care with it."""

    share: float
    right: float


@dataclass(frozen=True)
class Phase:
    """``steps``: share of the warm-up's optimizer steps; ``habits``: one per level, from easy to hard."""

    steps: float
    habits: tuple[Habit, ...]


def _habits(*rows: tuple[float, float]) -> tuple[Habit, ...]:
    return tuple(Habit(*row) for row in rows)


PHASES: dict[str, Phase] = {
    "skills": Phase(
        0.65,
        _habits((1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (0.6, 1), (0.4, 1), (0.1, 1), (0, 1), (0, 1)),
    ),
    "habits": Phase(
        0.35,
        _habits(
            (1, 1.0), (1, 1.0), (1, 0.9), (1, 0.6), (1, 0.3), (1, 0.15), (1, 0.08), (0.7, 0.05), (0.4, 0.03), (0, 0.0)
        ),
    ),
}

LADDER_PHASES = {
    "skills": Phase(0.75, _habits(*[(1, 1)] * 5, *[(3, 1)] * 5)),
    "habits": Phase(0.25, _habits(*[(1, 0)] * 5, *[(3, 0)] * 5)),
}


@dataclass(frozen=True)
class Demonstration:
    """A question and the response that the model learns to give."""

    question: str
    response: str


@dataclass(frozen=True)
class Teacher:
    """Of a ``task``. ``respond(problem, right, rng)``: a response that is right with probability ``right`` or more."""

    task: Task
    phases: Mapping[str, Phase]
    respond: Callable[[Any, float, Random], str]


def draw_demonstration(
    teacher: Teacher, habits: tuple[Habit, ...], rng: Random, forbidden: Collection[str]
) -> Demonstration:
    """Draw one demonstration whose question is not in ``forbidden`` (the validation questions)."""
    level = rng.choices(range(1, len(habits) + 1), weights=[habit.share for habit in habits])[0]
    families = list(dict.fromkeys(family for family, _ in teacher.task.cells))
    problem = draw_new(teacher.task, rng.choice(families), level, rng, forbidden)
    return Demonstration(problem.question, teacher.respond(problem, habits[level - 1].right, rng))


def respond(problem: Problem, right: float, rng: Random) -> str:
    """The teacher's response: right with probability ``right``, otherwise one of the two mistakes.

    Stopping early can still hit the answer, as when the largest number came first.
    """
    if rng.random() < right:
        return render_working(problem.steps, problem.answer)
    if len(problem.steps) > 1 and rng.random() < STOPS_EARLY:
        kept = problem.steps[: min(PATIENCE, len(problem.steps) - 1)]
        return render_working(kept, str(kept[-1].value))
    last = problem.steps[-1]
    wrong = rng.choice([last.value + slip for slip in SLIPS if last.value + slip >= 0])
    return render_working((*problem.steps[:-1], Step(last.item, wrong)), str(wrong))


def respond_climb(climb: Climb, right: float, rng: Random) -> str:
    """The teacher's response to a question of the ladder: with probability ``right`` without slips."""
    return ladder.working(climb, "" if rng.random() < right else ladder.slips(climb, rng))


TEACHERS = {
    "arithmetic": Teacher(arithmetic.TASK, PHASES, respond),
    "ladder": Teacher(ladder.TASK, LADDER_PHASES, respond_climb),
}


def validation_questions(data: str, task: str) -> frozenset[str]:
    """Questions that the warm-up must not see: those of ``data``/val.parquet, or none for "none".

    Raises:
        FileNotFoundError, QuestionError: the file is not there, cannot be read, or has a row without its question.
    """
    if data.lower() == "none":
        return frozenset()
    path = Path(data) / "val.parquet"
    if not path.is_file():
        fix = f'run "python -m data_prep.{task} --out {data}", or pass --data none'
        raise FileNotFoundError(f"{path} not found; {fix}")
    infos = [row["extra_info"] for row in read_rows(path, ["extra_info"])]
    found = [info.get("question") if isinstance(info, dict) else None for info in infos]
    if not all(isinstance(question, str) for question in found):
        text = f"{path} has rows without extra_info.question; give a folder that data_prep.{task} wrote"
        raise QuestionError(text, key="--data", reason="data")
    return frozenset(found)
