r"""Rewrites of an answer that keep its meaning: what any reader of mathematics takes for the same.

A ground truth that is graded wrong against one of them loses right responses; `problem` finds it, and prose, before a
run does.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from verl_dots.rewards import problems
from verl_dots.rewards.answers.intervals import as_pieces
from verl_dots.rewards.answers.kinds import Answer, Collection, Congruence, Either, Named, Ratio, Relation, Value, Words
from verl_dots.rewards.comparing.equality import Comparison
from verl_dots.rewards.expressions.operations import OutOfReach, Undefined
from verl_dots.rewards.expressions.values import value, variables
from verl_dots.rewards.grading import ground_truth_answer, same_text
from verl_dots.rewards.reading.answer import read
from verl_dots.rewards.text.final_answer import boxed_answer

MOST_WORDS = 4
_CODE = re.compile(
    r"\b(?:np|math|numpy|sympy)\.\w|\d\.\s*/|\*\*|\bfloat\s*\(|^\s*[\[({]\s*(?:'[^']*'|\"[^\"]*\")\s*[\])},:]"
)
_POWER = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+")
_PARTS = {Collection: "members", Relation: "sides", Ratio: "parts"}
_SUBJECT = r"(?:(?:the )?(?:final )?(?:answer|solution|proof|result)s?)"
_MISSING = re.compile(
    r"N/A|n\.a\.|TB[DAC]|WIP|NaN|nan|(?i:null|\[\]|missing|omitted|not applicable|(?:proof|solution|answer)"
    r"|(?:todo|fixme)(?:\W.*)?|work in progress|to be (?:determined|added|announced|confirmed|done)"
    rf"|(?:{_SUBJECT}:? )?(?:see|as|refer to) (?:in )?(?:the )?"
    r"(?:above|below|solution|proof|explanation|text|figure|diagram|graph|image|picture|table)(?: above| below)?"
    rf"|no (?:final )?(?:answer|proof)s?|no {_SUBJECT} (?:(?:is|was|are) )?(?:yet )?(?:provided|given|available)"
    rf"|(?:{_SUBJECT}:? (?:(?:is|was|are) )?(?:complete|incomplete|missing|omitted|above|below))"
    rf"|{_SUBJECT} (?:(?:may|might|can|could|will) )?vary|(?:it|{_SUBJECT}) depends?"
    rf"|(?:{_SUBJECT} )?(?:(?:is|was|are) )?not (?:yet )?(?:provided|given|available|found|known|shown))"
)
_MATHEMATICS = re.compile(
    r"\\(?!text|mbox|mathrm|textbf|textit|quad|left|right|emptyset|varnothing|[,;:! ])[A-Za-z]+|[=<>^_+*/]|\d"
)


def full_stop(answer: str) -> str:
    """With a full stop behind it."""
    return answer + "."


def dollars(answer: str) -> str:
    """Between dollars, where it has none."""
    return answer if "$" in answer or "\\[" in answer or "\\(" in answer else f"${answer}$"


def display_fractions(answer: str) -> str:
    r"""`\dfrac` for `\frac`."""
    return re.sub(r"\\frac(?![A-Za-z])", r"\\dfrac", answer)


def spaces(answer: str) -> str:
    r"""Thin spaces round the operators outside braces; 1e+3 stays as it is."""
    return re.sub(r"(?<=[\w)}])(?<!\d[eE]) ?([+=]) ?(?=[\w(\\])(?![^{]*\})", r"\\,\1\\,", answer)


def sized_brackets(answer: str) -> str:
    r"""`\left(` and `\right)` for round brackets that pair."""
    if (
        "\\left" in answer
        or "\\text" in answer
        or re.search(r"[\[\]]", answer)
        or answer.count("(") != answer.count(")")
    ):
        return answer
    return re.sub(r"\)", r"\\right)", re.sub(r"\(", r"\\left(", answer))


REWRITES: tuple[Callable[[str], str], ...] = (full_stop, dollars, display_fractions, spaces, sized_brackets)


def rewrites(answer: str) -> list[str]:
    """The different rewrites of an answer that differ from it."""
    found = dict.fromkeys(rewrite(answer) for rewrite in REWRITES)
    return [text for text in found if text != answer]


def problem(ground_truth: str, measured: bool = False) -> tuple[str, str] | None:
    """Why right responses may score 0 against a ground truth: its kind and a message, or None. May take seconds.

    Args:
        measured: whether its source holds measurements, in which 4.5e33 is a usual way to write a number.
    """
    answer_text = ground_truth_answer(ground_truth)
    answer = read(answer_text)
    if answer is None:
        return problems.UNREADABLE, f"the reward cannot read the answer {ground_truth!r:.80}"
    if is_missing(answer_text):
        return problems.UNREADABLE, f"{ground_truth!r:.80} says that there is no answer; leave the row out"
    if _no_value(answer):
        return problems.UNREADABLE, f"the answer {ground_truth!r:.80} has no value, as 1/0 has none"
    if is_prose(answer_text):
        return problems.PROSE, f"the answer is prose, not a value: {ground_truth!r:.80}"
    if _CODE.search(answer_text) or (not measured and _POWER.fullmatch(answer_text.strip(" $"))):
        return problems.FRAGILE, f"the answer {ground_truth!r:.80} is written as program code; write it in LaTeX"
    if _only_text(answer) and as_pieces(answer) is None and _MATHEMATICS.search(answer_text):
        return (
            problems.FRAGILE,
            f"the answer {ground_truth!r:.80} is compared as text, for it cannot be read as a value",
        )
    compare = Comparison(measured)
    for text in (answer_text, *rewrites(answer_text)):
        boxed = boxed_answer(rf"\boxed{{{text}}}")
        other = None if boxed is None else read(boxed)
        if other is None or not (same_text(boxed, answer_text) or compare.equal(answer, other)):
            return problems.FRAGILE, f"the answer {ground_truth!r:.80} is graded wrong against {text!r:.80}"
    return None


def is_missing(answer: str) -> bool:
    """Whether a ground truth stands for one that is missing; "no solution" and "none" are answers of their own."""
    plain = re.sub(r"\\(?:text|mbox|mathrm|textbf|textit)\b|[{}$]", "", answer).strip(" .!?*")
    return _MISSING.fullmatch(plain) is not None


def is_prose(answer: str) -> bool:
    """Whether an answer is a sentence: more than four words outside its formulas."""
    plain = re.sub(r"\\(?:text|mbox|textbf|mathrm|textit)\b|\\[(\[)\]]|[{}$]", " ", answer)
    plain = re.sub(r"\\[A-Za-z]+", " ", plain)
    return len(re.findall(r"(?<![\w^])[A-Za-z][a-z]+(?![\w^])|(?<![\w^])(?:a|I)(?=\s[a-z]{2})", plain)) > MOST_WORDS


def _no_value(answer: Answer) -> bool:
    """Whether some part of an answer is an expression without a value, in every way to read it.

    With variables, or out of reach, it may have one.
    """
    if isinstance(answer, Value):
        try:
            return not variables(answer.node) and value(answer.node) is None
        except OutOfReach:
            return False
        except Undefined:
            return True
    if isinstance(answer, Named | Congruence):
        return _no_value(answer.answer)
    if isinstance(answer, Either):
        return all(map(_no_value, answer.readings))
    return any(map(_no_value, getattr(answer, _PARTS.get(type(answer), ""), ())))


def _only_text(answer: Answer) -> bool:
    """Whether some part of an answer is compared as text."""
    if isinstance(answer, Words):
        return True
    if isinstance(answer, Named | Congruence):
        return _only_text(answer.answer)
    parts = "readings" if isinstance(answer, Either) else _PARTS.get(type(answer))
    return parts is not None and any(map(_only_text, getattr(answer, parts)))
