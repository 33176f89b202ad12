"""Families of verifiable questions with finely graded levels.

Every family walks over a list of items and keeps one running value; the last running value is the
answer. So one form of working serves all of them:

    What is 17 plus five minus 3?      17:17 +5:22 -3:19
                                       #### 19

A level is a `Grade` (how many numbers, how large, how many of them spelled out); it stands in the table of
the family and is never written into the question.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

LARGEST_VALUE = 99
ANSWER_MARK = "####"
LEVELS = 10

# fmt: off
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on


@dataclass(frozen=True)
class Grade:
    """How hard a level is: ``numbers`` per question, the ``largest`` of them, how many are spelled in ``words``."""

    numbers: int
    largest: int
    words: int


@dataclass(frozen=True)
class Step:
    """One step of the working: the item that is read and the running value after it."""

    item: str
    value: int


@dataclass(frozen=True)
class Problem:
    """A question with its full working; the answer is the value of the last step."""

    family: str
    level: int
    question: str
    steps: tuple[Step, ...]

    @property
    def answer(self) -> str:
        return str(self.steps[-1].value)


@dataclass(frozen=True)
class Family:
    """``build(grade, rng)`` returns (question, steps); ``grades`` holds one grade per level, from easy to hard."""

    build: Callable[[Grade, Random], tuple[str, tuple[Step, ...]]]
    grades: tuple[Grade, ...]


def number_to_words(number: int) -> str:
    """English words for 0..99, e.g. 42 -> "forty-two". Raises ValueError outside that range."""
    if not 0 <= number <= LARGEST_VALUE:
        raise ValueError(f"number must be in 0..{LARGEST_VALUE}, got {number}")
    if number < len(_UNITS):
        return _UNITS[number]
    tens, unit = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{_UNITS[unit]}" if unit else "")


def render_working(steps: Sequence[Step], answer: str) -> str:
    """The text of a response: the steps, a newline, the mark and the answer.

    >>> render_working([Step("17", 17), Step("+5", 22)], "22")
    '17:17 +5:22\\n#### 22'
    """
    return " ".join(f"{step.item}:{step.value}" for step in steps) + f"\n{ANSWER_MARK} {answer}"


def make_problem(family: str, level: int, rng: Random) -> Problem:
    """Draw one problem. Raises ValueError for an unknown family or level."""
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; known families: {sorted(FAMILIES)}")
    if not 1 <= level <= LEVELS:
        raise ValueError(f"level must be in 1..{LEVELS}, got {level}")
    question, steps = FAMILIES[family].build(FAMILIES[family].grades[level - 1], rng)
    return Problem(family, level, question, steps)


def _spell(numbers: Sequence[int], words: int, rng: Random) -> list[str]:
    """The numbers as text, ``words`` of them (at random places) spelled out."""
    spelled = set(rng.sample(range(len(numbers)), min(words, len(numbers))))
    return [number_to_words(number) if i in spelled else str(number) for i, number in enumerate(numbers)]


def _listing(numbers: Sequence[int], grade: Grade, rng: Random) -> str:
    return ", ".join(_spell(numbers, grade.words, rng))


def _chain(grade: Grade, rng: Random) -> tuple[str, tuple[Step, ...]]:
    """Plus and minus, left to right; no running total leaves 0..99."""
    numbers = [rng.randint(1, grade.largest)]
    steps = [Step(str(numbers[0]), numbers[0])]
    signs = []
    for _ in range(grade.numbers - 1):
        total = steps[-1].value
        signs.append(rng.choice([sign for sign, room in (("+", LARGEST_VALUE - total), ("-", total)) if room > 0]))
        room = LARGEST_VALUE - total if signs[-1] == "+" else total
        numbers.append(rng.randint(1, min(grade.largest, room)))
        change = numbers[-1] if signs[-1] == "+" else -numbers[-1]
        steps.append(Step(f"{signs[-1]}{numbers[-1]}", total + change))
    texts = _spell(numbers, grade.words, rng)
    tail = "".join(f" {'plus' if sign == '+' else 'minus'} {text}" for sign, text in zip(signs, texts[1:], strict=True))
    return f"{rng.choice(('What is', 'Compute'))} {texts[0]}{tail}?", tuple(steps)


def _extreme(grade: Grade, rng: Random) -> tuple[str, tuple[Step, ...]]:
    """Largest or smallest of a list of different numbers: the running value is the best so far."""
    numbers = rng.sample(range(grade.largest + 1), grade.numbers)
    name, best = rng.choice((("Largest", max), ("Smallest", min)))
    steps = tuple(Step(str(number), best(numbers[: i + 1])) for i, number in enumerate(numbers))
    return f"{name} of {_listing(numbers, grade, rng)}?", steps


def _count(grade: Grade, rng: Random) -> tuple[str, tuple[Step, ...]]:
    """How many numbers of a list are even (or odd): the running value is the count so far."""
    numbers = rng.sample(range(grade.largest + 1), grade.numbers)
    name, parity = rng.choice((("even", 0), ("odd", 1)))
    hits = [number % 2 == parity for number in numbers]
    steps = tuple(Step(str(number), sum(hits[: i + 1])) for i, number in enumerate(numbers))
    return f"How many are {name} of {_listing(numbers, grade, rng)}?", steps


def _total(grade: Grade, rng: Random) -> tuple[str, tuple[Step, ...]]:
    """Sum of a list: the running value is the sum so far."""
    numbers = [rng.randint(0, grade.largest) for _ in range(grade.numbers)]
    steps = tuple(Step(str(number), sum(numbers[: i + 1])) for i, number in enumerate(numbers))
    return f"Sum of {_listing(numbers, grade, rng)}?", steps


def _remainder(grade: Grade, rng: Random) -> tuple[str, tuple[Step, ...]]:
    """Remainder by repeated subtraction; the divisor fits ``grade.numbers`` times or once less."""
    divisor = rng.randint(2, grade.largest)
    fits = rng.randint(grade.numbers - 1, grade.numbers)
    value = fits * divisor + rng.randrange(divisor)
    steps = [Step(str(value), value)]
    steps += [Step(f"-{divisor}", value - k * divisor) for k in range(1, fits + 1)]
    dividend, by = _spell((value, divisor), grade.words, rng)
    return rng.choice((f"Remainder of {dividend} by {by}?", f"{dividend} modulo {by}?")), tuple(steps)


def _grades(*rows: tuple[int, int, int]) -> tuple[Grade, ...]:
    return tuple(Grade(*row) for row in rows)


# (numbers, largest, words) of levels 1 to 10
# fmt: off
FAMILIES: dict[str, Family] = {
    "chain": Family(
        _chain,
        _grades(
            (2, 9, 0), (2, 9, 1), (3, 9, 0), (3, 9, 1), (4, 9, 1),
            (4, 9, 2), (5, 9, 2), (5, 20, 2), (5, 20, 3), (5, 20, 4),
        ),
    ),
    "extreme": Family(
        _extreme,
        _grades(
            (3, 9, 0), (3, 9, 1), (4, 9, 0), (4, 9, 1), (5, 9, 1),
            (5, 9, 2), (6, 9, 2), (6, 20, 2), (6, 20, 3), (6, 20, 4),
        ),
    ),
    "count": Family(
        _count,
        _grades(
            (3, 9, 0), (3, 9, 1), (4, 9, 1), (5, 9, 1), (5, 9, 2),
            (6, 9, 2), (6, 20, 2), (7, 20, 2), (7, 20, 3), (8, 20, 3),
        ),
    ),
    "total": Family(
        _total,
        _grades(
            (3, 9, 0), (3, 9, 1), (4, 9, 0), (4, 9, 1), (5, 9, 1),
            (5, 9, 2), (6, 9, 2), (6, 9, 3), (7, 9, 3), (7, 9, 4),
        ),
    ),
    "remainder": Family(
        _remainder,
        _grades(
            (2, 9, 0), (2, 9, 1), (2, 12, 1), (3, 12, 0), (3, 12, 1),
            (3, 16, 1), (4, 12, 1), (4, 16, 1), (4, 19, 1), (4, 19, 2),
        ),
    ),
}
# fmt: on
