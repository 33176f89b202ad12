"""The arithmetic testbed: schema, answers, disjoint splits, determinism, levels, bad arguments."""

import re
from random import Random

import pyarrow.parquet as pq
import pytest
from data_prep.arithmetic import CELLS, draw_new, main, sample_splits, write_splits
from data_prep.families import FAMILIES, LEVELS, Grade, make_problem, number_to_words, render_working
from data_prep.schema import make_row, question_id, read_provenance, write_rows

PROMPT_OVERHEAD = len("user\n") + len("\n") + len("assistant\n") + 3  # bytes of the chat template + 3 special tokens


class ScriptedRandom(Random):
    """Hands out the given draws in order, whatever is asked."""

    def __init__(self, *draws):
        super().__init__(0)
        self.draws = list(draws)

    def _next(self, *_):
        return self.draws.pop(0)

    randint = randrange = choice = sample = _next


def build(family, grade, *draws):
    question, steps = FAMILIES[family].build(Grade(*grade), ScriptedRandom(*draws))
    return question, render_working(steps, str(steps[-1].value))


def test_chain_literal():
    # 17 + 5 = 22, 22 - 3 = 19; the last draws: number 1 is spelled out (twice asked by sample), then the phrasing
    question, response = build("chain", (3, 20, 1), 17, "+", 5, "-", 3, [1], "What is")
    assert question == "What is 17 plus five minus 3?"
    assert response == "17:17 +5:22 -3:19\n#### 19"


def test_extreme_literal():
    question, response = build("extreme", (4, 20, 1), [7, 12, 3, 12], ("Largest", max), [0])
    assert question == "Largest of seven, 12, 3, 12?"
    assert response == "7:7 12:12 3:12 12:12\n#### 12"


def test_count_literal():
    # even: 4 and 10
    question, response = build("count", (4, 20, 0), [4, 9, 10, 1], ("even", 0), [])
    assert question == "How many are even of 4, 9, 10, 1?"
    assert response == "4:1 9:1 10:2 1:2\n#### 2"


def test_total_literal():
    # 4 + 7 + 0 + 9 = 20
    question, response = build("total", (4, 9, 2), 4, 7, 0, 9, [1, 3])
    assert question == "Sum of 4, seven, 0, nine?"
    assert response == "4:4 7:11 0:11 9:20\n#### 20"


def test_remainder_literal():
    # divisor 9, fits twice, remainder 5: 2 * 9 + 5 = 23; 23 - 9 = 14, 14 - 9 = 5
    draws = (9, 2, 5, [0], "{} modulo {}?")
    question, response = build("remainder", (2, 9, 1), *draws)
    assert question == "twenty-three modulo 9?"
    assert response == "23:23 -9:14 -9:5\n#### 5"


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (7, "seven"), (13, "thirteen"), (20, "twenty"), (42, "forty-two"), (90, "ninety"), (99, "ninety-nine")],
)
def test_number_words(number, words):
    assert number_to_words(number) == words


def test_number_words_are_distinct_and_bounded():
    assert len({number_to_words(number) for number in range(100)}) == 100
    for outside in (-1, 100):
        with pytest.raises(ValueError, match="0..99"):
            number_to_words(outside)


WORD_VALUES = {number_to_words(number): number for number in range(100)}


def solve(question):
    """An independent solver that reads the question's text only."""
    text = re.sub(r"[a-z]+(?:-[a-z]+)?", lambda m: str(WORD_VALUES.get(m[0], m[0])), question.rstrip("?"))
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    if text.startswith(("What is", "Compute")):
        return eval(re.sub(r"^(What is|Compute)", "", text).replace("plus", "+").replace("minus", "-"))
    if text.startswith("Largest"):
        return sorted(numbers)[-1]
    if text.startswith("Smallest"):
        return sorted(numbers)[0]
    if text.startswith("How many"):
        return len([n for n in numbers if ("odd" in text) == bool(n & 1)])
    if text.startswith("Sum"):
        return sum(numbers)
    dividend, divisor = numbers
    return dividend - divisor * (dividend // divisor)


@pytest.mark.parametrize(("level", "family"), [(level, family) for family, level in CELLS])
def test_answers_and_lengths(level, family):
    rng = Random(level)
    for _ in range(100):
        problem = make_problem(family, level, rng)
        assert problem.answer == str(solve(problem.question)), problem.question
        assert len(problem.question) + PROMPT_OVERHEAD <= 96
        assert len(render_working(problem.steps, problem.answer)) + 1 <= 48
        assert all(0 <= step.value <= 99 for step in problem.steps)
