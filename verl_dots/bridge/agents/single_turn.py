"""verl's single-turn agent loop, one object for all rollouts of a worker.

verl makes a loop of each rollout through hydra, tokenizes the prompt of a group once for each of its rollouts, and
does so in a thread. The loop keeps nothing of a rollout, and tokens of a prompt are the same for its group.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

_OF_VERL = f"{SingleTurnAgentLoop.__module__}.{SingleTurnAgentLoop.__qualname__}"


def is_single_turn(agent_name: str) -> bool:
    """Whether an agent's loop is verl's single-turn loop with nothing changed."""
    return dict(_agent_loop_registry.get(agent_name) or {}) == {"_target_": _OF_VERL}


@dataclass
class PromptTokens:
    """Tokens of a group's prompt, once one of its rollouts has asked for them."""

    ids: list[int] | None = None


class SharedSingleTurn(SingleTurnAgentLoop):
    """The loop of verl; its arguments and `prompt_tokens`, which gives those of the group at hand."""

    def __init__(self, *args: Any, prompt_tokens: Callable[[], PromptTokens], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._prompt_tokens = prompt_tokens

    async def ct_build_initial_tokens(self, messages: list[dict], **of_media: Any) -> list[int]:
        """verl's, once for a group whose prompt is text."""
        if self.processor is not None or any(of_media.values()):
            return await super().ct_build_initial_tokens(messages, **of_media)
        known = self._prompt_tokens()
        if known.ids is None:
            known.ids = self._cap_text_prompt_length(self.continuous_token_builder.build_initial_tokens(messages))
        return list(known.ids)

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
