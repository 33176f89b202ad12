"""What an engine answers, looked at before anything is computed with it."""

import math
from collections.abc import Sequence
from typing import Any

from verl_dots.bridge.agents.clients import AroundClient

LONGEST_SHOWN = 3  # wrong values in a message


class EngineError(ValueError):
    """An engine gave a response that cannot be trained on."""


class CheckedResponses(AroundClient):
    """A rollout client whose responses can be trained on; one that cannot raises for its rollout alone.

    A response that is longer than data.max_response_length is cut there by verl's loop.

    Args:
        client: verl's, or one around it.
        vocabulary: tokens that the model knows.
    """

    def __init__(self, client: Any, vocabulary: int):
        super().__init__(client)
        self._vocabulary = vocabulary

    async def generate(self, request_id: str, **kwargs: Any) -> Any:
        """verl's.

        Raises:
            EngineError: see `require_usable_response`; or it lacks the log-probs that the request asks for.
        """
        asked = bool(kwargs.get("sampling_params", {}).get("logprobs"))
        output = await self._client.generate(request_id, **kwargs)
        require_usable_response(output.token_ids, output.log_probs, self._vocabulary)
        if asked and not output.log_probs:
            raise EngineError(
                f"the engine returned {len(output.token_ids)} tokens and no log-probs, which "
                "actor_rollout_ref.rollout.calculate_log_probs=True asks for"
            )
        return output


def require_usable_response(token_ids: Sequence[int], log_probs: Sequence[float] | None, vocabulary: int) -> None:
    """Pass tokens of one response, and their log-probs where the engine gives any.

    Raises:
        EngineError: there is no token, one is not in the vocabulary, or the log-probs are not one number a token.
    """
    if not len(token_ids):
        raise EngineError("the engine returned no token")
    if not 0 <= min(token_ids) <= max(token_ids) < vocabulary:
        wrong = [int(token) for token in token_ids if not 0 <= token < vocabulary][:LONGEST_SHOWN]
        raise EngineError(f"the engine returned tokens {wrong}; the model knows 0 to {vocabulary - 1}")
    if not log_probs:
        return
    if len(log_probs) != len(token_ids):
        raise EngineError(f"the engine returned {len(token_ids)} tokens and {len(log_probs)} log-probs")
    if not math.isfinite(sum(log_probs)):
        wrong = [float(value) for value in log_probs if not math.isfinite(value)][:LONGEST_SHOWN]
        raise EngineError(f"the engine returned log-probs that are no numbers: {wrong}")
