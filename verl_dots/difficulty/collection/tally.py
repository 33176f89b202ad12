"""Rewards of responses as they arrive, put together to questions."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from verl_dots.difficulty.collection.question_rows import Question
from verl_dots.difficulty.collection.rates import Outcome, ProgressFile, RewardRange


class Tally:
    """Rewards every response and keeps a question in the progress file once all its rollouts are there.

    Args:
        questions: in the order of the prompts that are sent.
        rollouts: to each question.
        reward: (row of the question, text of the response) -> reward.
        reward_range: every reward is checked against it.
        progress: open.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        rollouts: int,
        reward: Callable[[Mapping[str, Any], str], Awaitable[float]],
        reward_range: RewardRange,
        progress: ProgressFile,
    ):
        self._questions = questions
        self._rollouts = rollouts
        self._reward = reward
        self._range = reward_range
        self._progress = progress
        self._pending: dict[int, dict[int, tuple[float, int]]] = {}

    async def add(self, prompt: int, rollout: int, text: str, tokens: int) -> None:
        """Count one response.

        Args:
            prompt: position of its question.
            rollout: which response to it this is; the order of arrival does not matter.
            text: what is graded.
            tokens: its length.

        Raises:
            RewardOutOfRange: its reward is no share of success.
        """
        question = self._questions[prompt]
        try:
            reward = await self._reward(question.row, text)
        except Exception as error:
            error.add_note(f"while the reward function graded a response to question {question.id}: {text[-200:]!r}")
            raise
        self._range.check(reward, question.id)
        done = self._pending.setdefault(prompt, {})
        done[rollout] = (reward, tokens)
        if len(done) == self._rollouts:
            rewards_G, lengths_G = zip(*(done[index] for index in sorted(done)), strict=True)
            self._progress.add(question.id, Outcome(rewards_G, lengths_G))
            del self._pending[prompt]
