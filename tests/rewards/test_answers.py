"""Every row of answers.jsonl: answers in other words than the ground truth are right, others wrong, many by little.

A row holds the kind of answer, the ground truth, a response, and whether it is right.
"""

import json
from pathlib import Path

import pytest

from verl_dots.rewards.grading import Verdict, grade

CASES: dict[tuple[str, bool], list[tuple[str, str]]] = {}
for line in (Path(__file__).parent / "answers.jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n"):
    case = json.loads(line)
    CASES.setdefault((case["kind"], case["right"]), []).append((case["gold"], case["response"]))


@pytest.mark.parametrize(("kind", "right"), CASES)
def test_an_answer_is_graded_right_or_wrong(kind, right):
    expected = Verdict.CORRECT if right else Verdict.WRONG
    assert [(gold, response) for gold, response in CASES[kind, right] if grade(response, gold) is not expected] == []


def test_no_case_is_there_twice_or_both_right_and_wrong():
    pairs = [pair for pairs in CASES.values() for pair in pairs]
    assert len(pairs) == len(set(pairs)) > 1000
