"""What a model sees before RL: demonstrations by a teacher that is only reliable on easy levels.

The teacher's habits are graded by level (`HABITS`): how often a level is shown at all, and how often the
demonstration is right. Wrong demonstrations are of two kinds, both common in real data: the working stops before
its last step, or one value is off. So a warmed-up model solves easy questions, knows several ways to answer middle
ones, and has hardly met hard ones: that is where reinforcement learning starts.
"""

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from data_prep.arithmetic import draw_new
from data_prep.families import FAMILIES, LEVELS, Problem, render_working

STOPS_EARLY = 0.9
PATIENCE = (2, 3)
SLIPS = (-10, -1, 1, 10)


@dataclass(frozen=True)
class Habit:
    """``share``: relative frequency of a level; ``right``: probability that its demonstration is right."""

    share: float
    right: float


HABITS: tuple[Habit, ...] = (
    Habit(1.0, 1.00),
    Habit(1.0, 1.00),
    Habit(1.0, 0.90),
    Habit(1.0, 0.70),
    Habit(1.0, 0.45),
    Habit(0.8, 0.35),
    Habit(0.6, 0.25),
    Habit(0.4, 0.15),
    Habit(0.3, 0.10),
    Habit(0.0, 0.00),
)


@dataclass(frozen=True)
class Demonstration:
    """A question and the response that the model learns to give."""

    question: str
    response: str


def draw_demonstration(rng: Random, forbidden: Collection[str]) -> Demonstration:
    """Draw one demonstration whose question is not in ``forbidden`` (the validation questions)."""
    level = rng.choices(range(1, LEVELS + 1), weights=[habit.share for habit in HABITS])[0]
    problem = draw_new(rng.choice(list(FAMILIES)), level, rng, forbidden)
    return Demonstration(problem.question, respond(problem, HABITS[level - 1], rng))


def respond(problem: Problem, habit: Habit, rng: Random) -> str:
    """The teacher's response: right with probability ``habit.right``, otherwise one of the two mistakes."""
    if rng.random() < habit.right:
        return render_working(problem.steps, problem.answer)
    if len(problem.steps) > 1 and rng.random() < STOPS_EARLY:
        kept = problem.steps[: min(rng.choice(PATIENCE), len(problem.steps) - 1)]
        return render_working(kept, str(kept[-1].value))
    last = problem.steps[-1]
    wrong = rng.choice([last.value + slip for slip in SLIPS if last.value + slip >= 0])
    kept = (*problem.steps[:-1], type(last)(last.item, wrong))
    return render_working(kept, str(wrong))
