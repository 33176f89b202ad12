"""What DASH's preemptive sampling and gradient filter need of a run, checked before anything starts."""

import logging
import math

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.refusals import (
    CHOSEN_QUESTIONS,
    LOSS_MODE,
    NO_DISTILLATION,
    TRAINER,
    Fixed,
    excluded,
    refuse_asynchronous,
    refuse_kept,
    refuse_uneven_mini_batches,
    require_fixed,
)
from verl_dots.methods.replay.settings import GRPO_RR, LOSSES
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

FILTER_ON, PREEMPTIVE_ON = "dots.filter.enable=True", "dots.preemptive.enable=True"
FILTER = (
    TRAINER,
    Fixed("actor_rollout_ref.actor.shuffle", (None, False), "mini-batches are those of the batch's own order"),
    NO_DISTILLATION,
)
# Advantages of these are one a row, against its group.
OF_REWARDS = ("grpo", GRPO_RR, "rloo", "opo")
# Of these, from rewards alone: OPO's baseline is weighted by lengths, too.
OF_REWARDS_ALONE = ("grpo", GRPO_RR, "rloo")
# Losses of verl that look at all rows of a micro-batch at once.
OF_ALL_ROWS = ("kl_cov", "clip_cov")
# A loss of verl that a positive multiple of the advantage does not multiply: it has a term without the advantage.
NOT_BY_ADVANTAGE = ("dro",)
# Why the filter refuses a loss.
UNFILTERED = {
    **dict.fromkeys(
        OF_ALL_ROWS,
        "it takes a mean or a choice over the rows that are there, so without those that leave it is another loss",
    ),
    **dict.fromkeys(NOT_BY_ADVANTAGE, "rows that leave have a part in it at any advantage, so it is another loss"),
}


def refuse_filter(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that the gradient filter cannot work with."""
    if not dots.filter.enable:
        return
    require_fixed(config, FILTER_ON, *FILTER)
    refuse_uneven_mini_batches(config, FILTER_ON)
    actor = config.actor_rollout_ref.actor
    mode = actor.policy_loss.loss_mode
    if mode in UNFILTERED:
        raise excluded(LOSS_MODE, mode, FILTER_ON, f"{UNFILTERED[mode]}; set it to vanilla, or turn the filter off")
    if dots.filter.balanced:
        _refuse_balanced(config, dots)
    elif actor.use_kl_loss or actor.entropy_coeff or dots.entropy_coefficient.enable:
        logger.warning(
            "%s leaves rows out of the whole loss, the KL loss and the entropy bonus included, so that even "
            "dots.filter.threshold=0 is not quite the same training", FILTER_ON,
        )  # fmt: skip
    bound = greatest_advantage(config, dots)
    if dots.filter.kind == "absolute" and dots.filter.threshold >= bound:
        raise ConfigError(
            f"dots.filter.threshold={dots.filter.threshold}: no advantage can be above {bound:.4g} here (algorithm."
            f"adv_estimator={config.algorithm.adv_estimator}, rollout.n={config.actor_rollout_ref.rollout.n}, "
            f"dots.reward_range={list(dots.reward_range)}), so the filter would leave no row; lower it",
            key="dots.filter.threshold",
            reason="size",
        )


def _refuse_balanced(config: DictConfig, dots: DotsConfig) -> None:
    """What excludes rows that stand for others: they count by their advantage, and by nothing else."""
    what, actor = f"{FILTER_ON} and dots.filter.balanced=True", config.actor_rollout_ref.actor
    estimator = config.algorithm.adv_estimator
    if estimator not in OF_REWARDS:
        why = f"a row must have one advantage against its group; set it to one of {', '.join(OF_REWARDS)}"
        raise excluded("algorithm.adv_estimator", estimator, what, why)
    for name, off in (("use_kl_loss", False), ("entropy_coeff", 0)):
        if actor[name]:
            why = f"a row is weighted by its advantage, and this term has none; set it to {off}"
            raise excluded(f"actor_rollout_ref.actor.{name}", actor[name], what, why)
    if dots.entropy_coefficient.enable:
        why = "a row is weighted by its advantage, and the entropy bonus has none; turn it off"
        raise excluded("dots.entropy_coefficient.enable", True, what, why)
    if (most := largest_group(config, dots)) < 3:
        raise ConfigError(
            f"actor_rollout_ref.rollout.n={most} with {what}: groups of so few rows have no larger side; set n to 3 or "
            "more, or dots.filter.balanced=False",
            key="actor_rollout_ref.rollout.n",
            reason="size",
        )


def largest_group(config: DictConfig, dots: DotsConfig) -> int:
    """Rollouts of the largest group that the settings allow."""
    return max(config.actor_rollout_ref.rollout.n, dots.budget.most if dots.budget.enable else 1)


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
        or dots.entropy_coefficient.enable
        or dots.length_penalty.enable  # rewards are final only after the forward pass
    )
    of_rewards_alone = config.algorithm.adv_estimator in OF_REWARDS_ALONE
    return dots.filter.early and of_rewards_alone and not needs_log_probs


def greatest_advantage(config: DictConfig, dots: DotsConfig) -> float:
    """The greatest |advantage| that a group of rollouts can have; infinity where it has no bound."""
    estimator, (low, high) = config.algorithm.adv_estimator, dots.reward_range
    if estimator not in OF_REWARDS or config.algorithm.use_kl_in_reward:
        return math.inf
    n = largest_group(config, dots)
    if n == 1:
        return max(abs(low), abs(high))  # verl's advantage of a rollout that is alone is its reward
    if estimator in ("grpo", GRPO_RR) and config.algorithm.norm_adv_by_std_in_grpo:
        return (n - 1) / math.sqrt(n)  # of one that differs from n - 1 equal ones, in their standard deviations
    if estimator in ("rloo", "opo"):  # a long response can have nearly all the weight of opo's baseline
        return high - low
    return (high - low) * (n - 1) / n


def refuse_preemptive(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that preemptive sampling cannot work with."""
    batch_size, settings = config.data.train_batch_size, dots.preemptive
    if not settings.enable:
        return
    require_fixed(config, PREEMPTIVE_ON, *CHOSEN_QUESTIONS)
    refuse_asynchronous(config, PREEMPTIVE_ON, "rollouts of several steps are sampled at once, for these steps alone")
    refuse_kept(config, PREEMPTIVE_ON)
    prompts, batches = settings.prompts or batch_size, settings.batches(batch_size)
    if prompts % batch_size:
        raise ConfigError(
            f"dots.preemptive.prompts={prompts} is no multiple of data.train_batch_size={batch_size}: a step trains on "
            "that many of the questions that are rolled out at once",
            key="dots.preemptive.prompts",
            reason="size",
        )
    if settings.updates is not None and settings.updates % batches:
        raise ConfigError(
            f"dots.preemptive.updates={settings.updates} is no multiple of the {batches} batches of "
            f"data.train_batch_size={batch_size} in dots.preemptive.prompts={prompts}: some rollouts would be trained "
            "on more often than others, or never",
            key="dots.preemptive.updates",
            reason="size",
        )
    if settings.off_policy(batch_size):
        _refuse_several_steps(config, dots, f"dots.preemptive.prompts={prompts} and updates={settings.updates}")


def _refuse_several_steps(config: DictConfig, dots: DotsConfig, what: str) -> None:
    """What excludes training on rollouts of an earlier step."""
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if mode not in LOSSES:
        why = f"later steps train on rollouts of an older policy; set it to {LOSSES[0]}, which corrects for that"
        raise excluded(LOSS_MODE, mode, what, why)
    for stage, why in (
        ("replay", "both put rollouts of earlier steps into a batch; choose one"),
        ("adarft", "the target must see the reward of every step before the next; choose one"),
        ("temperature", "it follows the entropy of each step, and here several are sampled at one; choose one"),
        ("entropy_coefficient", "it follows the entropy of each step, and here several are sampled at one; choose one"),
    ):
        if getattr(dots, stage).enable:
            raise excluded(f"dots.{stage}.enable", True, f"{PREEMPTIVE_ON} over several steps", why)
    selection, batches = dots.selection, dots.preemptive.batches(config.data.train_batch_size)
    if selection.enable and selection.reuse_references:
        why = "a round must be sampled whole; set it to False"
        raise excluded("dots.selection.reuse_references", True, what, why)
    if selection.enable and selection.mu % batches:
        why = f"a round must be sampled whole; set it to a multiple of {batches}"
        raise excluded("dots.selection.mu", selection.mu, what, why)
