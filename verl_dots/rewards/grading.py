"""Read the final answer out of a response and compare it with the ground truth, by math-verify.

The functions here have no time limit of their own and sympy can run for ever on a hostile
answer (a power tower, a factorial of a factorial): `mathematics` calls `grade` in a worker
process that it can kill. Both sides are parsed the same way, as `$...$`, because math-verify
0.9 reads a percentage inside `$...$` but not inside `\\boxed{...}`.
"""

from __future__ import annotations

import enum
import logging
import re

BOX = r"\boxed{"
_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"))
_UNESCAPED_DOLLAR = re.compile(r"(?<!\\)\$")


class Verdict(enum.Enum):
    """What comparing a response with its ground truth came to."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNREADABLE_GROUND_TRUTH = "unreadable ground truth"


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last complete `\boxed{...}` in `text`, or None.

    Braces are balanced and escaped ones skipped: "\boxed{\frac{1}{2}}" gives "\frac{1}{2}".
    Of nested boxes the innermost last one counts. A box that is never closed, as in a
    response cut at the length limit, is passed over for the one before it.
    """
    start = text.rfind(BOX)
    while start >= 0:
        content_start = start + len(BOX)
        end = _closing_brace(text, content_start)
        if end is not None:
            return text[content_start:end].strip()
        start = text.rfind(BOX, 0, start)
    return None


def as_formula(answer: str) -> str:
    """Return `answer` as one `$...$` formula, whatever delimiters it came with.

    Text with formulas inside it ("either $2$ or $3$") is returned as it is.
    """
    answer = " ".join(answer.split())
    for left, right in _DELIMITERS:
        inner = answer[len(left) : -len(right)]
        enclosed = answer.startswith(left) and answer.endswith(right) and len(answer) > len(left + right)
        if enclosed and not _UNESCAPED_DOLLAR.search(inner):
            answer = inner.strip()
            break
    return answer if _UNESCAPED_DOLLAR.search(answer) else f"${answer}$"


def final_formula(text: str) -> str:
    """Return the text in which math-verify should look for an answer.

    That is the last box if there is one; otherwise all of `text`, in which math-verify takes
    "final answer is ..." first, then "answer: ...", then the last formula or number.
    """
    boxed = last_boxed(text)
    return text if boxed is None else as_formula(boxed)


def ground_truth_formula(ground_truth: str) -> str:
    """Return the ground truth as a formula: LaTeX or plain, boxed, between dollars or bare."""
    boxed = last_boxed(ground_truth)
    return as_formula(ground_truth if boxed is None else boxed)


def readable(ground_truth: str) -> bool:
    """Whether math-verify finds an answer in `ground_truth`. May not return: see the module."""
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns about the missing time limit
    return bool(parse(ground_truth_formula(ground_truth), parsing_timeout=None))


def grade(text: str, ground_truth: str) -> Verdict:
    """Compare the final answer in `text` with `ground_truth`. May not return: see the module.

    Equality is math-verify's: 0.5 equals \\frac{1}{2}, {1,2} equals {2,1}, [1,2) does not
    equal [1,2], units are dropped, and 50 % equals 50 (the gold is often written without
    the sign) but not 0.5.
    """
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns about the missing time limit
    gold = parse(ground_truth_formula(ground_truth), parsing_timeout=None)
    if not gold:
        return Verdict.UNREADABLE_GROUND_TRUTH
    answer = parse(final_formula(text), parsing_timeout=None)
    return Verdict.CORRECT if verify(gold, answer, timeout_seconds=None) else Verdict.WRONG


def _closing_brace(text: str, start: int) -> int | None:
    """Return the index of the brace that closes the one just before `start`, or None."""
    depth, index = 1, start
    while index < len(text):
        if text[index] == "\\":
            index += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
        index += 1
    return None
