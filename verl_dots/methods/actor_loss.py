"""The actor's loss of a run whose stages write to the rows; importing it registers GRPO-RR's losses."""

from typing import Any

import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.workers.config import ActorConfig
from verl.workers.utils.losses import ppo_loss

from verl_dots.methods.replay.losses import off_policy_loss


def dots_loss(
    config: ActorConfig, model_output: dict[str, Any], data: TensorDict, dp_group: Any = None
) -> tuple[torch.Tensor, dict[str, Any]]:
    """verl's actor loss, with what the stages of a step have written to the rows.

    For `actor_rollout_wg.set_loss_fn`. filler: rows that are there for their number only; no term of the loss counts
    them. unfiltered_tokens: the tokens that a mini-batch had before rows left it; the loss is divided by them still.
    advantage_weight: how often a row's advantage counts; a loss that is linear in positive multiples of the advantage
    is weighted by that.
    replay_age: see `off_policy_loss`.
    """
    if "filler" in data:
        pairs = zip(data["response_mask"].unbind(), data["filler"].tolist(), strict=True)
        rows = [torch.zeros_like(mask_T) if filler else mask_T for mask_T, filler in pairs]
        data["response_mask"] = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    if "unfiltered_tokens" in data:
        tu.assign_non_tensor(data, batch_num_tokens=int(data["unfiltered_tokens"][0]))
    if "advantage_weight" in data:
        pairs = zip(data["advantages"].unbind(), data["advantage_weight"].tolist(), strict=True)
        weighted = [advantage_T * weight for advantage_T, weight in pairs]
        data = data.copy()  # weighted once, however often the rows come
        data["advantages"] = torch.nested.as_nested_tensor(weighted, layout=torch.jagged)
    return (off_policy_loss if "replay_age" in data else ppo_loss)(config, model_output, data, dp_group)
