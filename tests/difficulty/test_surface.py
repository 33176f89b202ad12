import math
import time

import numpy as np
import pytest

from verl_dots.difficulty import inputs, surface, words
from verl_dots.difficulty.surface import COLUMNS, kind_of, surface_columns


def columns(text, answer="", *names):
    row = dict(zip(COLUMNS, surface_columns([text], [answer])[0].tolist(), strict=True))
    return [row[name] for name in names]


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("none", ["", "  ", "$$"]),
        ("integer", ["12", "-7", "$1,024$", "90^\\circ", "\\text{ }3"]),
        ("decimal", ["0.5", "-3.14", "71.43\\%", ".5"]),
        ("fraction", ["\\frac{1}{2}", "-\\dfrac{18}{5}", "7/3", "\\frac12"]),
        ("root", ["\\frac{\\sqrt{6}}{6}", "3+2\\sqrt{2}"]),
        ("expression", ["6\\pi", "x^2+1", "1:2"]),
        ("tuple", ["(2,8)", "[0,1)", "(-\\infty,3)"]),
        ("list", ["1, 2, 5", "1,-3"]),
        ("equation", ["y = 3x+1"]),
        ("choice", ["C", "\\text{B}"]),
        ("text", ["Tuesday", "\\text{yes or no}"]),
    ],
)
def test_what_kind_an_answer_is(kind, answers):
    assert {answer: kind_of(answer) for answer in answers} == dict.fromkeys(answers, kind)


def test_columns_of_a_question_by_hand():
    text = "Find all primes $p < 100$ such that $p^2 = 2q + 1$.\nHow many?"
    found = columns(
        text, "", "question: lines", "question: numerals", "question: different numerals", "question: powers",
        "question: equalities", "question: relations", "question: formulas", "question: words", "question: questions",
    )  # fmt: skip
    # Numerals 100, 2, 2, 1; words find all primes p such that p q how many.
    assert found == pytest.approx(np.log1p([1, 4, 3, 1, 1, 1, 4, 10, 1]))
    greatest = columns(text, "", "question: greatest numeral")[0]
    assert greatest == pytest.approx(math.log1p(math.log10(101)))
    assert columns(text, "", "word: prime primes", "word: many", "word: circle circles") == [1, 1, 0]
    assert columns("$\\dfrac{1}{2}\\sqrt3$", "", "command: frac dfrac tfrac", "command: sqrt", "command: circ") == [
        1,
        1,
        0,
    ]


def test_columns_of_an_answer_by_hand():
    names = ("numbers", "magnitude", "denominator", "negative", "named by the question", "one digit", "trailing zeros")
    names = tuple(f"answer: {name}" for name in names)
    found = columns("What is 3/7 less 1?", "-\\frac{4}{7}", *names)
    by_hand = [math.log1p(2), math.log1p(math.log10(8)), math.log1p(math.log1p(7)), 1, 0, 1, 0]
    assert found == pytest.approx(by_hand)
    assert columns("Is it 1200?", "1200", *names)[4:] == [1, 0, 2]
    assert columns("x", "5", "answer is: integer", "answer is: fraction") == [1, 0]


@pytest.mark.parametrize(
    "answer", ["", "9" * 400, "1e999", "\x00", "def f(x):\n    return x\n" * 500, "½", "\\frac{0}{0}"]
)
@pytest.mark.parametrize("text", ["", "?", "9" * 5000, "∀x∈ℝ", "$" * 99])
def test_odd_texts_give_finite_columns(text, answer):
    assert np.isfinite(surface_columns([text], [answer])).all()


def test_rows_do_not_depend_on_their_neighbours_and_lengths_must_agree():
    texts, answers = ["How many?", "Find $x$."], ["3", "x+1"]
    together = surface_columns(texts, answers)
    assert together.shape == (2, len(COLUMNS)) and together.dtype == np.float32
    for row in range(2):
        assert np.array_equal(surface_columns(texts[row : row + 1], answers[row : row + 1])[0], together[row])
    with pytest.raises(ValueError, match="2 questions and 1 answers"):
        surface_columns(texts, answers[:1])


def test_names_are_different_and_no_word_is_in_two_groups():
    assert len(set(COLUMNS)) == len(COLUMNS)
    for groups in (surface.KEY_WORDS, surface.COMMANDS):
        names = " ".join(groups).split()
        assert len(set(names)) == len(names)


def test_hashed_words_by_hand():
    assert words.names_of("Find $x$ 2", "7") == {
        "find", "$", "x", "2", "find $", "$ x", "x $", "$ 2", "answer ^7", "answer 7$", "answer ^7$",
    }  # fmt: skip
    found = words.hashed_words(["a", "a a", ""], ["", "", ""])
    # "a" is 0xe8b7be43: column 0x243 of 1,024, and the first bit is set. The empty answer's frame is in all three.
    alone = found[0] - found[2]
    assert alone[0x243] == 1 and np.abs(alone).sum() == 1
    assert np.abs(found[1] - found[0]).sum() == 1  # the pair


def test_what_predictors_see_is_embedding_surface_and_words_side_by_side():
    embedding, texts, answers = np.arange(6.0).reshape(2, 3), ["How many?", "Find $x$."], ["3", "x"]
    online = inputs.online_inputs(embedding, texts, answers)
    trained = inputs.trained_inputs(embedding, texts, answers)
    assert trained.dtype == np.float32 and trained.shape == (2, sum(inputs.widths(3, inputs.VERSION)))
    assert np.array_equal(online, np.concatenate([embedding, surface_columns(texts, answers)], 1))
    assert np.array_equal(trained[:, : online.shape[1]], online)
    assert np.array_equal(trained[:, online.shape[1] :], words.hashed_words(texts, answers))
    assert inputs.widths(3, "") == (3,)
    with pytest.raises(ValueError, match="version 'surface-0'.*train it again"):
        inputs.widths(3, "surface-0")


def test_they_cost_less_than_embedding():
    """0.4 ms a question of 300 characters were measured; ten times that fails."""
    texts = ["Find the least integer $n > 12$ with $\\frac{n}{7} = k^2 + 3$ for a real $k$. " * 4] * 100
    began = time.process_time()
    inputs.trained_inputs(np.zeros((100, 1)), texts, ["\\frac{1}{7}"] * 100)
    assert (time.process_time() - began) / 100 < 4e-3
