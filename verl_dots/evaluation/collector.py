"""Responses as they arrive, graded and put together to questions."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from verl_dots.difficulty.collection.question_rows import Question
from verl_dots.evaluation.answers import AnswerReader
from verl_dots.evaluation.storage import Generation, GenerationJournal

ENDED, CUT = "stop", "length"
# Words of verl's servers for a response that came to its end, by an ending token or at the limit.
COMPLETED = (None, "completed", "stop", "length")


class Collector:
    """Grades every response and keeps a question in the journal once all its rollouts are there.

    Args:
        questions: (label of the data set, question) in the order of the prompts that are sent.
        rollouts: to each question.
        reward: (row of the question, text of the response) -> reward and `acc`, which is 1 of a right one.
        reader: of final answers.
        journal: open.
        limit: most tokens of a response.
        ends: tokens that end one.
    """

    def __init__(
        self,
        questions: Sequence[tuple[str, Question]],
        rollouts: int,
        reward: Callable[[Mapping[str, Any], str], Awaitable[tuple[float, float]]],
        reader: AnswerReader,
        journal: GenerationJournal,
        limit: int,
        ends: Collection[int],
    ):
        self._questions = questions
        self._rollouts = rollouts
        self._reward = reward
        self._reader = reader
        self._journal = journal
        self._limit = limit
        self._ends = ends
        self._pending: dict[int, dict[int, Generation]] = {}

    async def add(self, prompt: int, rollout: int, text: str, token_ids: Sequence[int], reason: str | None) -> None:
        """Keep one response.

        Args:
            prompt: position of its question.
            rollout: which response to it this is; the order of arrival does not matter.
            text: what is graded.
            token_ids: generated ones.
            reason: the engine's word for why it ended.
        """
        label, question = self._questions[prompt]
        try:
            reward, acc = await self._reward(question.row, text)
        except Exception as error:
            error.add_note(f"while the reward function graded a response to question {question.id}: {text[-200:]!r}")
            raise
        answer = await asyncio.to_thread(self._reader.read, question.row["data_source"], text)
        why = stop_reason(token_ids, reason, self._limit, self._ends)
        done = self._pending.setdefault(prompt, {})
        done[rollout] = Generation(text, len(token_ids), reward, acc, answer, why)
        if len(done) == self._rollouts:
            self._journal.add((label, question.id), [done[index] for index in sorted(done)])
            del self._pending[prompt]


def stop_reason(token_ids: Sequence[int], given: str | None, limit: int, ends: Collection[int]) -> str:
    """Why a response ended; verl's servers say "completed" of those that the limit cut, too.

    One that has all the tokens it may have was cut, unless its last one is an ending token.
    """
    if given not in COMPLETED:
        return given
    return CUT if len(token_ids) >= limit and token_ids[-1] not in ends else ENDED
