"""A ladder of skills, each of which needs those below it: train.parquet and val.parquet in verl's schema.

    python -m data_prep.ladder --out data/ladder --train 4096 --val 512 --seed 1

A question names a start of two digits and some letters, to be applied one after the other:

    Start at 47. Apply C, A, B.        C70 A91 B40
                                       #### 40

Each letter adds its own two numbers to the two digits, each modulo 10. A question of level k has the first k + 1
letters, each once, in any order. It is right only if every letter is, so a level can be learnt when those below are
nearly mastered, and what a letter does can be learnt from its own level and those above alone. The same arguments give
the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from data_prep.families import ANSWER_MARK
from data_prep.splits import Task, command

OPENINGS = ("Start at", "Begin with", "From", "Take")


@dataclass(frozen=True)
class Letter:
    """``adds``: to the tens and the units. A careless teacher adds ``slip`` to the tens, with its probability."""

    adds: tuple[int, int]
    slip: int
    careless: float


LETTERS: dict[str, Letter] = {
    "A": Letter((2, 1), 1, 0.05),
    "B": Letter((5, 9), 6, 0.10),
    "C": Letter((3, 3), 8, 0.20),
    "D": Letter((7, 6), 2, 0.30),
    "E": Letter((1, 8), 4, 0.40),
    "F": Letter((9, 2), 3, 0.50),
    "G": Letter((4, 5), 7, 0.60),
    "H": Letter((6, 7), 5, 0.65),
    "I": Letter((8, 4), 9, 0.70),
    "J": Letter((2, 5), 1, 0.75),
    "K": Letter((6, 1), 3, 0.80),
}
LEVELS = len(LETTERS) - 1


@dataclass(frozen=True)
class Climb:
    """A question of the ladder: ``letters`` are applied to ``start``, two digits, in their order."""

    level: int
    question: str
    start: str
    letters: str
    family: str = "ladder"

    @property
    def answer(self) -> str:
        return self.values()[-1]

    def values(self, careless: str = "") -> tuple[str, ...]:
        """The value after each letter, where those in ``careless`` slip."""
        found = [self.start]
        for name in self.letters:
            letter = LETTERS[name]
            found.append(_added(found[-1], (letter.slip, letter.adds[1]) if name in careless else letter.adds))
        return tuple(found[1:])


def make_climb(family: str, level: int, rng: Random) -> Climb:
    """Draw a question. Raises ValueError for an unknown family or level."""
    if family != "ladder" or not 1 <= level <= LEVELS:
        raise ValueError(f"family {family!r} level {level}: there is 'ladder', of levels 1..{LEVELS}")
    letters = "".join(rng.sample(list(LETTERS)[: level + 1], level + 1))
    start = f"{rng.randrange(100):02d}"
    return Climb(level, f"{rng.choice(OPENINGS)} {start}. Apply {', '.join(letters)}.", start, letters)


def working(climb: Climb, careless: str = "") -> str:
    """The text of a response in which some letters slip."""
    values = climb.values(careless)
    steps = " ".join(name + value for name, value in zip(climb.letters, values, strict=True))
    return f"{steps}\n{ANSWER_MARK} {values[-1]}"


def slips(climb: Climb, rng: Random) -> str:
    """The letters at which a careless teacher slips, each by its own chance."""
    return "".join(name for name in climb.letters if rng.random() < LETTERS[name].careless)


def _added(value: str, numbers: tuple[int, int]) -> str:
    return "".join(str((int(digit) + number) % 10) for digit, number in zip(value, numbers, strict=True))


TASK = Task(
    name="ladder",
    cells=tuple(("ladder", level) for level in range(1, LEVELS + 1)),
    make=make_climb,
    facts={"levels": LEVELS},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry; bad values end with a usage message and exit status 2."""
    command(TASK, __doc__, arguments)


if __name__ == "__main__":
    main()
