"""Responses as they arrive, graded and put together to questions."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from verl_dots.data.asked_questions import AskedQuestion

Graded = TypeVar("Graded")


@dataclass(frozen=True)
class Response:
    """One response.

    Attributes:
        prompt: position of its prompt in what was given to `generate`.
        rollout: which response to that prompt it is, from 0.
        token_ids: generated tokens, the ending token included.
        text: of the tokens without the special ones: what verl's reward functions are given.
        stop_reason: the engine's; "length" if the limit cut it.
    """

    prompt: int
    rollout: int
    token_ids: list[int]
    text: str
    stop_reason: str | None


class WholeGroups(Generic[Graded]):  # noqa: UP046  Python 3.11
    """Grades every response and keeps a question once all its rollouts are there; the order of arrival is free.

    Args:
        questions: in the order of the prompts that are sent.
        rollouts: to each question.
        grade: (question, response) -> what is kept of the response.
        keep: called with the position of a question and what is kept of its rollouts, in their order.
    """

    def __init__(
        self,
        questions: Sequence[AskedQuestion],
        rollouts: int,
        grade: Callable[[AskedQuestion, Response], Awaitable[Graded]],
        keep: Callable[[int, Sequence[Graded]], object],
    ):
        self._questions, self._rollouts = questions, rollouts
        self._grade, self._keep = grade, keep
        self._begun: dict[int, dict[int, Graded]] = {}

    async def add(self, response: Response) -> None:
        """Take one response. What grading raises is raised, with a note that names the question."""
        question = self._questions[response.prompt]
        try:
            graded = await self._grade(question, response)
        except Exception as error:
            error.add_note(f"while a response to question {question.id} was graded: {response.text[-200:]!r}")
            raise
        group = self._begun.setdefault(response.prompt, {})
        group[response.rollout] = graded
        if len(group) == self._rollouts:
            self._keep(response.prompt, [group[rollout] for rollout in sorted(group)])
            del self._begun[response.prompt]
