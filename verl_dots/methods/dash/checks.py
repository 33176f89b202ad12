"""What DASH's preemptive sampling and gradient filter need, checked before anything starts."""

import logging
import math

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.replay.settings import GRPO_RR, LOSSES
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

# Advantages of these follow from rewards and groups alone.
OF_REWARDS = ("grpo", GRPO_RR, "rloo", "opo")


# Losses of verl that look at all rows of a micro-batch at once.
OF_ALL_ROWS = ("geo_mean", "kl_cov", "clip_cov")


def check_dash(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse preemptive sampling and filters that could only fail, or mislead, after the start.

    Raises:
        ConfigError: which setting, and what to do.
    """
    if dots.filter.enable:
        _check_filter(config)
        _check_threshold(config, dots)
    if dots.preemptive.enable:
        _check_preemptive(config, dots)


def filters_early(config: DictConfig, dots: DotsConfig) -> bool:
    """Whether the filter can take rows out before the forward passes, and is asked to."""
    correction = config.algorithm.get("rollout_correction") or {}
    needs_log_probs = (
        config.algorithm.use_kl_in_reward
        or correction.get("rollout_is") is not None
        or correction.get("rollout_rs") is not None
        or correction.get("bypass_mode", False)
        or dots.loss.truncation is not None
        or dots.replay.enable  # a group that is kept needs the log-probs of all its rows
        or (dots.preemptive.enable and dots.preemptive.passes(config.data.train_batch_size) > 1)
        or (dots.temperature.enable and dots.temperature.entropy == "recomputed")  # that of all rows
        or dots.length_penalty.enable  # rewards are final only after the forward pass
    )
    return dots.filter.early and config.algorithm.adv_estimator in OF_REWARDS and not needs_log_probs


def _check_filter(config: DictConfig) -> None:
    batch_size, mini_batch = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    if batch_size % mini_batch:
        raise ConfigError(
            f"data.train_batch_size={batch_size} is no multiple of actor_rollout_ref.actor.ppo_mini_batch_size="
            f"{mini_batch}: with dots.filter.enable=True a batch is cut into mini-batches of equal size"
        )
    actor = config.actor_rollout_ref.actor
    mode = actor.policy_loss.loss_mode
    if mode in OF_ALL_ROWS:
        raise ConfigError(
            f"actor_rollout_ref.actor.policy_loss.loss_mode={mode} does not go with dots.filter.enable=True: it takes "
            "a mean or a choice over the rows that are there, so without those that leave it is another loss; set it "
            "to vanilla, or turn the filter off"
        )
    if actor.loss_agg_mode == "seq-mean-token-sum-norm" and actor.loss_scale_factor is None:
        raise ConfigError(
            "actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-sum-norm does not go with dots.filter.enable=True "
            "and loss_scale_factor=null: it divides by the longest response that is there; set "
            "actor_rollout_ref.actor.loss_scale_factor, e.g. to data.max_response_length="
            f"{config.data.max_response_length}"
        )
    if actor.use_kl_loss or actor.entropy_coeff:
        logger.warning(
            "dots.filter.enable=True leaves rows out of the whole loss: their part of the KL loss and of the entropy "
            "bonus goes too, so that even dots.filter.threshold=0 is not quite the same training"
        )


def greatest_advantage(config: DictConfig, dots: DotsConfig) -> float:
    """The greatest |advantage| that a group of rollouts can have; infinity where it has no bound."""
    estimator, (low, high) = config.algorithm.adv_estimator, dots.reward_range
    if estimator not in OF_REWARDS or config.algorithm.use_kl_in_reward:
        return math.inf
    n = max(config.actor_rollout_ref.rollout.n, dots.budget.most if dots.budget.enable else 1)
    if n == 1:
        return max(abs(low), abs(high))  # verl's advantage of a rollout that is alone is its reward
    if estimator in ("grpo", GRPO_RR) and config.algorithm.norm_adv_by_std_in_grpo:
        return (n - 1) / math.sqrt(n)  # of one that differs from n - 1 equal ones, in their standard deviations
    if estimator == "rloo":
        return high - low
    return (high - low) * (n - 1) / n


def _check_threshold(config: DictConfig, dots: DotsConfig) -> None:
    bound = greatest_advantage(config, dots)
    if dots.filter.kind == "absolute" and dots.filter.threshold >= bound:
        raise ConfigError(
            f"dots.filter.threshold={dots.filter.threshold}: no advantage can be above {bound:.4g} here (algorithm."
            f"adv_estimator={config.algorithm.adv_estimator}, rollout.n={config.actor_rollout_ref.rollout.n}, "
            f"dots.reward_range={list(dots.reward_range)}), so the filter would leave no row; lower it"
        )


def _check_preemptive(config: DictConfig, dots: DotsConfig) -> None:
    batch_size, settings = config.data.train_batch_size, dots.preemptive
    prompts = settings.prompts or batch_size
    if prompts % batch_size:
        raise ConfigError(
            f"dots.preemptive.prompts={prompts} is no multiple of data.train_batch_size={batch_size}: a step trains on "
            "that many of the questions that are rolled out at once"
        )
    batches = settings.batches(batch_size)
    if settings.updates is not None and settings.updates % batches:
        raise ConfigError(
            f"dots.preemptive.updates={settings.updates} is no multiple of the {batches} batches of "
            f"data.train_batch_size={batch_size} in dots.preemptive.prompts={prompts}: some rollouts would be trained "
            "on more often than others, or never"
        )
    if not settings.off_policy(batch_size):
        return
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if mode not in LOSSES:
        raise ConfigError(
            f"actor_rollout_ref.actor.policy_loss.loss_mode={mode} does not go with dots.preemptive.prompts={prompts} "
            f"and updates={settings.updates}: later steps train on rollouts of an older policy, which {LOSSES[0]} "
            "(the clipped ratio to that policy) corrects for"
        )
    for enabled, what, why in (
        (dots.replay.enable, "dots.replay.enable=True", "both put rollouts of earlier steps into a batch; choose one"),
        (dots.adarft.enable, "dots.adarft.enable=True", "the target must see the reward of every step before the next"),
        (
            dots.temperature.enable,
            "dots.temperature.enable=True",
            "the temperature follows the entropy of each step, and here several steps are sampled at one",
        ),
    ):
        if enabled:
            raise ConfigError(f"{what} does not go with dots.preemptive.enable=True over several steps: {why}")
    if dots.selection.enable and (dots.selection.reuse_references or dots.selection.mu % batches):
        raise ConfigError(
            f"dots.selection.reuse_references={dots.selection.reuse_references} and dots.selection.mu="
            f"{dots.selection.mu} do not go with dots.preemptive.prompts={prompts}: a round must be sampled whole, so "
            f"set reuse_references to False and mu to a multiple of {batches}"
        )
