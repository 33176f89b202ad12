"""Rewards of the agent loop worker itself, for scorers that take microseconds.

verl computes a rule's reward in a worker of its own, by a Ray call and a DataProto for each response. Where the
package's own `compute_score` is the reward and the question's scorer needs no process of its own, the worker that has
the response decodes and scores it, to the same result.
"""

from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import OmegaConf

from verl_dots.rewards import compute


class QuickRewards:
    """What the naive reward manager of verl gives, without its worker.

    Args:
        reward_kwargs: `reward.custom_reward_function.reward_kwargs`.
        decode: token ids of a response to its text, without special tokens.
    """

    def __init__(self, reward_kwargs: Mapping[str, Any], decode: Callable[[list[int]], str]):
        self._kwargs, self._decode = dict(reward_kwargs), decode

    @classmethod
    def of_config(cls, config: Any, tokenizer: Any) -> "QuickRewards | None":
        """For this run, or None where another reward function, manager or model gives its rewards."""
        reward = config.reward
        function = reward.custom_reward_function
        own = function.path == compute.PATH and function.name == compute.compute_score.__name__
        by_rule = reward.reward_manager.name == "naive" and reward.reward_manager.source == "register"
        if not own or not by_rule or reward.reward_model.enable:
            return None
        kwargs = OmegaConf.to_container(OmegaConf.create(function.get("reward_kwargs") or {}), resolve=True)
        return cls(kwargs, lambda ids: tokenizer.decode(ids, skip_special_tokens=True))

    def knows(self, data_source: Any) -> bool:
        """Whether questions of a source are scored here."""
        return compute.is_quick(data_source)

    def score(self, question: Mapping[str, Any], response_ids: list[int]) -> tuple[float, dict[str, float]]:
        """Reward of a response, and what verl keeps beside it as reward_extra_info.

        Args:
            question: fields of the data set.
            response_ids: tokens of the response.

        Raises:
            TypeError, ValueError: as `compute_score`.
        """
        result = compute.compute_score(
            question["data_source"],
            self._decode(response_ids),
            question["reward_model"]["ground_truth"],
            question.get("extra_info"),
            **self._kwargs,
        )
        return result["score"], result
