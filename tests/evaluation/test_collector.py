"""Responses in any order become questions in the journal."""

import asyncio

import pytest

from verl_dots.difficulty.collection.question_rows import Question
from verl_dots.evaluation.answers import AnswerReader
from verl_dots.evaluation.collector import Collector, stop_reason
from verl_dots.evaluation.storage import Generation, GenerationJournal
from verl_dots.rewards.compute import compute_score

ROW = {"data_source": "arithmetic", "reward_model": {"ground_truth": "2"}}
END = 9


async def reward(row, text):
    found = compute_score(row["data_source"], text, row["reward_model"]["ground_truth"])
    return found["score"] - 0.25, found["acc"]


@pytest.fixture
def journal(tmp_path):
    with GenerationJournal(tmp_path / "journal.jsonl", {}) as journal:
        yield journal


def collector(journal, reward=reward):
    questions = [("one", Question(name, "1+1?", "2", ROW)) for name in ("a", "b")]
    return Collector(questions, 2, reward, AnswerReader(), journal, 4, {END})


def test_a_question_is_kept_once_all_its_rollouts_are_there(journal):
    found = collector(journal)

    async def run():
        await found.add(1, 1, "#### 2", [1, 2, END], "completed")
        await found.add(0, 0, "no", [1, 2, 3, 4], "completed")
        assert journal.done == {}
        await found.add(1, 0, "#### 3", [1, 2, 3, END], None)

    asyncio.run(run())
    assert journal.done == {
        ("one", "b"): [
            Generation("#### 3", 4, -0.25, 0.0, "3", "stop"),
            Generation("#### 2", 3, 0.75, 1.0, "2", "stop"),
        ]
    }


def test_an_error_of_the_reward_function_names_the_question(journal):
    async def broken(row, text):
        raise KeyError("tool")

    with pytest.raises(KeyError) as caught:
        asyncio.run(collector(journal, broken).add(0, 0, "#### 2", [1], None))
    assert "response to question a: '#### 2'" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "tokens, given, expected",
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
