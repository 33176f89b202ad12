"""What is kept of a response."""

import asyncio

import pytest

from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.evaluation.answers import AnswerReader
from verl_dots.evaluation.grading import grader, stop_reason
from verl_dots.evaluation.storage import Generation
from verl_dots.generation.responses import Response
from verl_dots.rewards.compute import compute_score

QUESTION = AskedQuestion("a", "1+1?", "2", {"data_source": "arithmetic", "reward_model": {"ground_truth": "2"}})
END = 9


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (Response(0, 0, [1, 2, END], "#### 2", "completed"), Generation("#### 2", 3, 0.75, 1.0, "2", "stop")),
        (Response(0, 1, [1, 2, 3, END], "#### 3", None), Generation("#### 3", 4, -0.25, 0.0, "3", "stop")),
        (Response(0, 2, [1, 2, 3, 4], "no", "completed"), Generation("no", 4, -0.25, 0.0, None, "length")),
    ],
)
def test_a_generation_holds_reward_answer_and_end(response, expected):
    async def reward(row, text):
        found = compute_score(row["data_source"], text, row["reward_model"]["ground_truth"])
        return found["score"] - 0.25, found["acc"]

    assert asyncio.run(grader(reward, AnswerReader(), 4, {END})(QUESTION, response)) == expected


@pytest.mark.parametrize(
    ("tokens", "given", "expected"),
    [
        ([1, 2, 3, END], "completed", "stop"),  # its last token is the ending one
        ([1, 2, 3, 4], "completed", "length"),
        ([1, 2, END], "completed", "stop"),
        ([1, 2, 3], "stop", "stop"),  # a stop string
        ([1, 2, 3, 4], None, "length"),
        ([1, 2], "aborted", "aborted"),
        ([], "completed", "stop"),
    ],
)
def test_why_a_response_ended(tokens, given, expected):
    assert stop_reason(tokens, given, 4, {END}) == expected
