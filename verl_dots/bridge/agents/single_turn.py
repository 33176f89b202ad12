"""verl's single-turn agent loop, one object for all rollouts of a worker.

verl makes a loop of each rollout through hydra, tokenizes the prompt of a group once for each of its rollouts, and
does so in a thread. The loop keeps nothing of a rollout, and tokens of a prompt are the same each time.
"""

from array import array
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from verl_dots.bridge.agents.clients import RememberedConfig

MOST_TOKENS = 4_000_000  # of all prompts that are remembered; 16 MB
_OF_VERL = f"{SingleTurnAgentLoop.__module__}.{SingleTurnAgentLoop.__qualname__}"


def is_single_turn(agent_name: str) -> bool:
    """Whether an agent's loop is verl's single-turn loop with nothing changed."""
    return dict(_agent_loop_registry.get(agent_name) or {}) == {"_target_": _OF_VERL}


class PromptTokens:
    """Tokens of prompts by their text, the last used of them: a validation asks for the same each time.

    Args:
        most: tokens of all prompts together.
    """

    def __init__(self, most: int = MOST_TOKENS):
        self._most, self._count = most, 0
        self._known: OrderedDict[str, array] = OrderedDict()

    def get(self, text: str) -> list[int] | None:
        """Those of a prompt, in a list of its own; None where they are not known."""
        found = self._known.get(text)
        if found is None:
            return None
        self._known.move_to_end(text)
        return found.tolist()

    def put(self, text: str, ids: list[int]) -> None:
        """Remember those of a prompt, and forget others where there are too many."""
        self._count += len(ids) - len(self._known.pop(text, ()))
        self._known[text] = array("i", ids)
        while self._count > self._most:
            self._count -= len(self._known.popitem(last=False)[1])


class SharedSingleTurn(SingleTurnAgentLoop):
    """The loop of verl; its arguments and `prompt_text`, which gives that of the rollout at hand."""

    def __init__(self, *args: Any, prompt_text: Callable[[], str], **kwargs: Any):
        super().__init__(*args, **kwargs)
        # A template that tells the date gives other tokens on another day.
        dated = "strftime_now" in str(self.tokenizer.chat_template)
        self._prompt_text, self._tokens = prompt_text, PromptTokens(0 if dated else MOST_TOKENS)
        self.rollout_config = RememberedConfig(self.rollout_config)

    async def ct_build_initial_tokens(self, messages: list[dict], **of_media: Any) -> list[int]:
        """verl's, once for a prompt that is text."""
        if self.processor is not None or any(of_media.values()):
            return await super().ct_build_initial_tokens(messages, **of_media)
        text = self._prompt_text()
        if (known := self._tokens.get(text)) is not None:
            return known
        ids = self._cap_text_prompt_length(self.continuous_token_builder.build_initial_tokens(messages))
        self._tokens.put(text, ids)
        return ids

    async def ct_merge_assistant_token(
        self,
        runtime_token_ids: list[int],
        assistant_token_ids: list[int],
        response_mask: list[int],
        response_logprobs: list[float] | None = None,
        assistant_logprobs: list[float] | None = None,
    ) -> tuple:
        """verl's, on the spot: it joins two lists."""
        builder = self.continuous_token_builder
        merged = builder.merge_assistant_tokens(runtime_token_ids, assistant_token_ids)
        return merged, *builder.align_response_metadata(
            merged, response_mask, response_logprobs, assistant_logprobs=assistant_logprobs
        )
