"""Compare the final answer of a response with the ground truth.

Both sides are read by the same rules. The functions here have no time limit of their own: `mathematics` calls `grade`
in a worker process that it can kill.
"""

from __future__ import annotations

import enum
import re

from verl_dots.rewards.answers.kinds import Either
from verl_dots.rewards.comparing import by_math_verify
from verl_dots.rewards.comparing.equality import Comparison
from verl_dots.rewards.reading.answer import read
from verl_dots.rewards.text.final_answer import boxed_answer, final_answer
from verl_dots.rewards.text.latex import clean, strip_end
from verl_dots.rewards.units.behind_numbers import currency

_EXCLAIMED = re.compile(r"\d!$")


class Verdict(enum.Enum):
    """What comparing a response with its ground truth came to."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNREADABLE_GROUND_TRUTH = "unreadable ground truth"


def ground_truth_answer(ground_truth: str) -> str:
    """Return the answer in a ground truth, which may be boxed or bare."""
    boxed = boxed_answer(ground_truth)
    return ground_truth if boxed is None else boxed


def same_text(left: str, right: str) -> bool:
    """Whether two answers are the same text but for spacing, delimiters, fonts, a full stop and one's currency."""
    if len({currency(left), currency(right)} - {""}) > 1:
        return False
    left, right = _compact(left), _compact(right)
    return left == right != ""


def grade(text: str, ground_truth: str, measured: bool = False) -> Verdict:
    r"""Compare the final answer in `text` with `ground_truth`.

    0.5 equals \frac{1}{2}, {1,2} equals {2,1}, [1,2) equals 1 \le x < 2 but not [1,2], and 50 %
    equals 50 (the gold is often written without the sign) but not 0.5. Units count where both sides name known ones.
    Tolerances: see `comparing.tolerance`.

    Args:
        text: the end of a response.
        ground_truth: LaTeX or plain, boxed, between dollars or bare.
        measured: whether numbers are measurements, equal within 1e-4.
    """
    gold_text = ground_truth_answer(ground_truth)
    gold = read(gold_text)
    if gold is None:
        return Verdict.UNREADABLE_GROUND_TRUTH
    found = final_answer(text)
    if not found.strip():
        return Verdict.WRONG
    if same_text(found, gold_text):
        return Verdict.CORRECT
    answer = read(found)
    if _EXCLAIMED.search(found) and boxed_answer(text) is None:  # a factorial, or a writer who is glad
        answer = Either(tuple(one for one in (answer, read(found[:-1])) if one is not None))
    if answer is None:
        return Verdict.WRONG
    right = Comparison(measured).equal(gold, answer) or _equal_beyond(gold_text, found)
    return Verdict.CORRECT if right else Verdict.WRONG


def _equal_beyond(gold: str, answer: str) -> bool:
    gold, answer = clean(gold), clean(answer)
    beyond = [by_math_verify.beyond(gold), by_math_verify.beyond(answer)]
    return any(beyond) and by_math_verify.equal(gold, answer)


def _compact(text: str) -> str:
    plain = re.sub(r"\\text\{([^{}]*)\}", r"\1", strip_end(clean(text)))
    return "".join(re.sub(r"(?<=[\d.])\s+(?=[\d.])", "_", plain).split())  # 3 4 is not 34
