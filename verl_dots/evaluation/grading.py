"""What is kept of a response: its reward, its final answer, and why it ended."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.evaluation.answers import AnswerReader
from verl_dots.evaluation.storage import Generation
from verl_dots.generation.responses import Response

ENDED, CUT = "stop", "length"
# Words of verl's servers for a response that came to its end, by an ending token or at the limit.
COMPLETED = (None, "completed", "stop", "length")


def grader(
    reward: Callable[[Mapping[str, Any], str], Awaitable[tuple[float, float]]],
    reader: AnswerReader,
    limit: int,
    ends: Collection[int],
) -> Callable[[AskedQuestion, Response], Awaitable[Generation]]:
    """A function that grades a response.

    Args:
        reward: (row of the question, text of the response) -> reward and `acc`, which is 1 of a right one.
        reader: of final answers.
        limit: most tokens of a response.
        ends: tokens that end one.
    """

    async def grade(question: AskedQuestion, response: Response) -> Generation:
        found, acc = await reward(question.row, response.text)
        answer = await asyncio.to_thread(reader.read, question.row["data_source"], response.text)
        why = stop_reason(response.token_ids, response.stop_reason, limit, ends)
        return Generation(response.text, len(response.token_ids), found, acc, answer, why)

    return grade


def stop_reason(token_ids: Sequence[int], given: str | None, limit: int, ends: Collection[int]) -> str:
    """Why a response ended; verl's servers say "completed" of those that the limit cut, too.

    One that has all the tokens it may have was cut, unless its last one is an ending token.
    """
    if given not in COMPLETED:
        return given
    return CUT if len(token_ids) >= limit and token_ids[-1] not in ends else ENDED
