"""Advantages that verl will compute, where they follow from the rewards alone."""

from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from verl import DataProto
from verl.trainer.ppo.core_algos import agg_loss
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

from verl_dots.bridge.queue.rows import Rows


def padded(values: list[torch.Tensor]) -> torch.Tensor:
    """[N, T] of rows of different lengths, 0 where one ends."""
    return torch.nn.utils.rnn.pad_sequence(values, batch_first=True)


def advantages_of_rewards(rows: Rows, config: DictConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """[N, 1] advantages and response masks of rows with rewards, before any forward pass.

    All tokens of a row have the same advantage, so that a row is one token here: nothing is padded.

    Args:
        rows: all of the batch, what pads it included.
        config: verl's, of the whole run.
    """
    uids, masks, scores = rows.get("uid", "response_mask", "rm_scores")
    mask_N1 = torch.stack([mask_T.any() for mask_T in masks]).unsqueeze(-1).to(torch.int64)
    score_N1 = torch.stack([score_T.sum() for score_T in scores]).unsqueeze(-1)
    data: Any = DataProto.from_dict({"response_mask": mask_N1, "rm_scores": score_N1})
    data.batch["token_level_scores"] = data.batch["token_level_rewards"] = data.batch["rm_scores"]
    data.non_tensor_batch["uid"] = np.array(uids, dtype=object)
    algorithm = config.algorithm
    data = compute_advantage_for_multi_trajectories(
        data,
        batch_keys=rows.keys,
        adv_estimator=algorithm.adv_estimator,
        num_repeat=config.actor_rollout_ref.rollout.n,
        norm_adv_by_std_in_grpo=algorithm.get("norm_adv_by_std_in_grpo", True),
        config=algorithm,
    )
    return data.batch["advantages"], data.batch["response_mask"]


def token_mean(values: list[torch.Tensor], masks: list[torch.Tensor]) -> float:
    """Mean over the tokens that count, of rows of values and of masks.

    verl's actor/entropy is taken as the loss is: with another loss_agg_mode than token-mean it is no mean over tokens.
    """
    return float(agg_loss(padded(values), padded(masks), loss_agg_mode="token-mean"))
