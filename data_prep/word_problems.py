"""Small stories with a number at their end, for a pretrained model: train.parquet and val.parquet in verl's schema.

    python -m data_prep.word_problems --out data/word_problems --train 1024 --val 96 --seed 1

A story opens, goes on and ends, and every part but the plainest is a step of arithmetic:

    Anna has 3 boxes with 4 apples in each. Then Anna gives 2 apples to Ben. How many apples does Anna have now?

    opening   what is there; or groups of it; or more or fewer than somebody else has
    changes   some are added, or taken away
    ending    how many there are; or how many each gets who shares them

Levels 1 and 2 add and take away up to 10, and level 3 does both up to 40. In level 4 the opening or the ending is the
step, level 5 has two steps of those before, and level 6 has three. Every value on the way is a whole number above 0.
Each prompt shows solved stories first, as turns of the chat, and no text tells the level. The same arguments give the
same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from data_prep.families import ANSWER_MARK
from data_prep.splits import Task, command

# fmt: off
NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo", "Maria", "Noah",
    "Olivia", "Peter", "Rosa", "Sam", "Tina", "Victor",
)
THINGS = (
    "apples", "books", "pencils", "marbles", "stickers", "cookies", "shells", "coins", "stamps", "cards", "flowers",
    "buttons", "balloons", "candies", "stones", "beads",
)
# fmt: on
HOLDERS = ("boxes", "bags", "baskets", "jars")
GAINS = (
    "{name} gets {number} more {things}.",
    "{name} finds {number} more {things}.",
    "{other} gives {number} more {things} to {name}.",
)
LOSSES = (
    "{name} gives {number} {things} to {other}.",
    "{name} loses {number} {things}.",
    "{other} takes {number} {things} from {name}.",
)
FRIENDS = "{name} shares the {things} equally among {number} friends. How many {things} does each friend get?"
# They show the form of a response. Told of it in words, or by examples in one message, the model writes another; shown
# two steps, it takes two where one would do.
SHOWN = (
    ("Lily has 2 pens. Then Lily gets 3 more pens. How many pens does Lily have now?", f"2 + 3 = 5\n{ANSWER_MARK} 5"),
    ("Paul has 9 toys. Then Paul loses 2 toys. How many toys does Paul have now?", f"9 - 2 = 7\n{ANSWER_MARK} 7"),
)


@dataclass(frozen=True)
class Plan:
    """A story has one of ``openings``, all ``changes`` and one of ``endings``; no value is above ``largest``."""

    openings: tuple[str, ...]
    changes: tuple[str, ...]
    endings: tuple[str, ...]
    largest: int


ANY_CHANGE = "gain or loss"
TOLD = ("groups", "more", "fewer")
PLANS: dict[int, tuple[Plan, ...]] = {
    1: (Plan(("plain",), ("gain",), ("count",), 10),),
    2: (Plan(("plain",), ("loss",), ("count",), 10),),
    3: (Plan(("plain",), (ANY_CHANGE,), ("count",), 40),),
    4: (Plan(TOLD, (), ("count",), 40), Plan(("plain",), (), ("share",), 40)),
    5: (
        Plan(("plain",), (ANY_CHANGE, ANY_CHANGE), ("count",), 40),
        Plan(TOLD, (ANY_CHANGE,), ("count",), 40),
        Plan(("plain",), (ANY_CHANGE,), ("share",), 40),
    ),
    6: (Plan(TOLD, (ANY_CHANGE,), ("share",), 40),),
}
LEVELS = len(PLANS)
OPENINGS = {
    "plain": "{name} has {first} {things}.",
    "groups": "{name} has {second} {holders} with {first} {things} in each.",
    "more": "{other} has {first} {things}. {name} has {second} more {things} than {other}.",
    "fewer": "{other} has {first} {things}. {name} has {second} fewer {things} than {other}.",
}


@dataclass(frozen=True)
class Story:
    """A question of the task; ``values`` are what its steps come to, one after the other."""

    level: int
    question: str
    values: tuple[int, ...]
    family: str = "story"

    @property
    def answer(self) -> str:
        return str(self.values[-1])


def make_story(family: str, level: int, rng: Random) -> Story:
    """Draw a question. Raises ValueError for an unknown family or level."""
    if family != "story" or level not in PLANS:
        raise ValueError(f"family {family!r} level {level}: there is 'story', of levels 1..{LEVELS}")
    plan = rng.choice(PLANS[level])
    name, other = rng.sample(NAMES, 2)
    words = {"name": name, "other": other, "things": rng.choice(THINGS), "holders": rng.choice(HOLDERS)}
    while True:
        parts, values = _told(plan, words, rng)
        if all(1 <= value <= plan.largest for value in values):
            return Story(level, " ".join(parts), tuple(values))


def _told(plan: Plan, words: dict[str, str], rng: Random) -> tuple[list[str], list[int]]:
    """Sentences and the values of their steps; a value may be out of bounds, or 0 for what cannot be shared evenly."""
    kind = rng.choice(plan.openings)
    first, second = rng.randint(2, plan.largest // 2), rng.randint(2, 9)
    value = {"plain": first, "groups": first * second, "more": first + second, "fewer": first - second}[kind]
    parts = [OPENINGS[kind].format(first=first, second=second, **words)]
    values = [] if kind == "plain" else [value]
    for change in plan.changes:
        change = rng.choice(("gain", "loss")) if change == ANY_CHANGE else change
        number = rng.randint(2, 9)
        value += number if change == "gain" else -number
        values.append(value)
        parts.append("Then " + rng.choice(GAINS if change == "gain" else LOSSES).format(number=number, **words))
    if rng.choice(plan.endings) == "share":
        number = rng.randint(2, 6)
        values.append(value // number if value % number == 0 else 0)
        parts.append(("Then " if plan.changes else "") + FRIENDS.format(number=number, **words))
    else:
        now = " now" if plan.changes else ""
        parts.append("How many {things} does {name} have{now}?".format(now=now, **words))
    return parts, values


TASK = Task(
    name="word_problems",
    cells=tuple(("story", level) for level in PLANS),
    make=make_story,
    facts={"levels": LEVELS},
    shown=SHOWN,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry; bad values end with a usage message and exit status 2."""
    command(TASK, __doc__, arguments)


if __name__ == "__main__":
    main()
