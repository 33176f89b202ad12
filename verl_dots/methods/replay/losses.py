"""GRPO-RR in verl's registries, and the actor's loss with figures of how far its rows are off-policy.

Importing this module registers `adv_estimator=grpo_rr` and the policy losses `grpo_rr` and `grpo_rr_decoupled`
(arXiv 2506.05316, section 4). Both are verl's clipped loss, told apart by what the trainer puts into their inputs (see
`verl_dots.methods.replay.loss_stage`), so on fresh rollouts alone they are verl's GRPO to the last bit:

grpo_rr            old_log_prob is the behaviour policy's: current / behaviour is clipped around 1
grpo_rr_decoupled  old_log_prob is the proximal policy's, clipped likewise; proximal / behaviour weights each token
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from verl.trainer.ppo.core_algos import compute_policy_loss_vanilla, register_adv_est, register_policy_loss
from verl.utils.metric import AggregationType, Metric
from verl.workers.config import ActorConfig
from verl.workers.utils.losses import ppo_loss
from verl.workers.utils.padding import no_padding_2_padding

from verl_dots.methods.replay.loss_rule import group_advantages, is_clipped, ratio, ratio_figures, ratio_sums
from verl_dots.methods.replay.settings import GRPO_RR, GRPO_RR_DECOUPLED

# Rows by their age in steps; 0 is fresh.
FRESH = "fresh"
AGES = {FRESH: (0, 0), "age_1": (1, 1), "age_2-3": (2, 3), "age_4-7": (4, 7), "age_8+": (8, 10**9)}
PREFIX = "off_policy"


@register_adv_est(GRPO_RR)
def grpo_rr_advantage(
    token_level_rewards: torch.Tensor, response_mask: torch.Tensor, config: Any, index: np.ndarray, **_: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns [N, T] against the mean of the group; a group of one has 0.

    Args:
        token_level_rewards: [N, T], summed over T.
        response_mask: [N, T].
        config: verl's algorithm settings; norm_adv_by_std_in_grpo=False is the paper's mean-only advantage.
        index: [N] uid of each row's group.
    """
    _, group_N = np.unique(np.asarray(index, dtype=str), return_inverse=True)
    by_std = config.get("norm_adv_by_std_in_grpo", True)
    with torch.no_grad():
        advantage_N = group_advantages(token_level_rewards.sum(dim=-1), torch.as_tensor(group_N), by_std)
        advantage_NT = advantage_N.unsqueeze(-1) * response_mask
    return advantage_NT, advantage_NT


@register_policy_loss(GRPO_RR)
def grpo_rr(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
    config: ActorConfig | None = None,
    rollout_is_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The paper's loss: min(r A, clip(r) A) with r = current / behaviour, both [N, T]; `old_log_prob` is the latter's.

    The paper's mean per sequence is verl's loss_agg_mode=seq-mean-token-mean. verl's dual clip stays: of a token with
    A < 0 and r above clip_ratio_c (3) no gradient is left; the paper has none, a great clip_ratio_c turns it off.
    Raises ValueError for weights: the ratio to the behaviour policy is in r already.
    """
    if rollout_is_weights is not None:
        raise ValueError(
            f"loss_mode={GRPO_RR} takes no importance weights: its ratio is to the behaviour policy; "
            f"loss_mode={GRPO_RR_DECOUPLED} does"
        )
    return compute_policy_loss_vanilla(old_log_prob, log_prob, advantages, response_mask, loss_agg_mode, config)


@register_policy_loss(GRPO_RR_DECOUPLED)
def grpo_rr_decoupled(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
    config: ActorConfig | None = None,
    rollout_is_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The decoupled form: w min(r A, clip(r) A) with r = current / proximal and w = proximal / behaviour, all [N, T].

    Raises ValueError without weights: they would silently count as 1.
    """
    if rollout_is_weights is None:
        raise ValueError(
            f"loss_mode={GRPO_RR_DECOUPLED} needs weights proximal / behaviour; trainer_mode=dots provides them"
        )
    return compute_policy_loss_vanilla(
        old_log_prob, log_prob, advantages, response_mask, loss_agg_mode, config, rollout_is_weights
    )


def off_policy_loss(
    config: ActorConfig, model_output: dict[str, Any], data: TensorDict, dp_group: Any = None
) -> tuple[torch.Tensor, dict[str, Any]]:
    """verl's actor loss; its metrics have sums of current / behaviour by age of the rows, see `off_policy_metrics`.

    Reads the row fields replay_age and, where old_log_probs are the proximal
    policy's, behaviour_log_probs.
    """
    loss, metrics = ppo_loss(config, model_output, data, dp_group)
    fields = [name for name in ("behaviour_log_probs", "old_log_probs", "advantages", "response_mask") if name in data]
    with torch.no_grad():
        log_prob_NT = no_padding_2_padding(model_output["log_probs"], data)
        rows = data.select(*fields).to_padded_tensor()
        low, high = config.clip_ratio_low, config.clip_ratio_high
        clip = (config.clip_ratio if low is None else low, config.clip_ratio if high is None else high)
        ratio_to_old_NT = ratio(log_prob_NT, rows["old_log_probs"])
        clipped_NT = is_clipped(ratio_to_old_NT, rows["advantages"], clip, config.get("clip_ratio_c", 3.0))
        ratio_NT = ratio(log_prob_NT, rows.get("behaviour_log_probs", rows["old_log_probs"]))
        age_N = data["replay_age"]
        for name, (least, greatest) in AGES.items():
            inside_N = (age_N >= least) & (age_N <= greatest)
            sums, largest = ratio_sums(ratio_NT, clipped_NT, rows["response_mask"] * inside_N.unsqueeze(-1))
            for key, value in sums.items():
                metrics[f"{PREFIX}/{name}/{key}"] = Metric(AggregationType.SUM, value)
            metrics[f"{PREFIX}/{name}/max"] = Metric(AggregationType.MAX, largest)
    return loss, metrics


def off_policy_metrics(metrics: dict[str, Any], prefix: str) -> dict[str, float]:
    """Take the sums of `off_policy_loss` out of a step's metrics, and return figures of them.

    Of fresh and of replayed rows: ratio/mean, ratio/max, ratio/log_difference, clip_share, effective_sample_size; of
    each age: ratio/log_difference. What no row belongs to is left out.
    """
    marked = f"actor/{PREFIX}/"
    sums: dict[str, dict[str, float]] = {}
    figures: dict[str, float] = {}
    for key in [key for key in metrics if key.startswith(marked)]:
        name, part = key.removeprefix(marked).split("/")
        sums.setdefault(name, {})[part] = float(metrics.pop(key))
    older = [parts for name, parts in sums.items() if name != FRESH]
    for name, parts in ((FRESH, [sums[FRESH]] if sums else []), ("replayed", older)):
        for key, value in _figures(parts).items():
            figures[f"{prefix}/{name}/{key}"] = value
    for name, parts in sums.items():
        if name != FRESH and parts["tokens"]:
            figures[f"{prefix}/{name}/ratio/log_difference"] = ratio_figures(parts)["ratio/log_difference"]
    return figures


def _figures(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    total = {key: sum(part[key] for part in parts) for key in (parts[0] if parts else ()) if key != "max"}
    if not total or not total["tokens"]:
        return {}
    return ratio_figures(total) | {"ratio/max": max(part["max"] for part in parts)}
