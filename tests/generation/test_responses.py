"""Responses in any order, graded and put together to questions."""

import asyncio

import pytest

from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.generation.responses import Response, WholeGroups

QUESTIONS = [AskedQuestion("a", "1+1?", "2", {}), AskedQuestion("b", "2+2?", "4", {})]


def response(prompt, rollout, text):
    return Response(prompt, rollout, [1, 2], text, "stop")


def test_a_question_is_kept_once_all_its_rollouts_are_there_in_their_order():
    async def grade(question, response):
        await asyncio.sleep(0)
        return response.text == question.answer

    kept = []
    groups = WholeGroups(QUESTIONS, 2, grade, lambda place, graded: kept.append((place, graded)))

    async def run():
        await groups.add(response(1, 1, "4"))
        await groups.add(response(0, 0, "2"))
        assert kept == []
        await groups.add(response(1, 0, "5"))
        assert kept == [(1, [False, True])]
        await groups.add(response(0, 1, "2"))

    asyncio.run(run())
    assert kept == [(1, [False, True]), (0, [True, True])]


def test_what_grading_raises_names_the_question():
    async def down(question, response):
        raise OSError("the service is down")

    groups = WholeGroups(QUESTIONS, 1, down, lambda place, graded: None)
    with pytest.raises(OSError, match="is down") as error:
        asyncio.run(groups.add(response(0, 0, "an answer")))
    assert error.value.__notes__ == ["while a response to question a was graded: 'an answer'"]
