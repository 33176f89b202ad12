"""What refill does not go with, checked before anything starts."""

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.refusals import CHOSEN_QUESTIONS, Fixed, excluded, refuse_uneven_mini_batches, require_fixed

ON = "dots.refill.enable=True"
ONE_BY_ONE = Fixed("data.gen_batch_size", (None, 1), "the number of further questions differs from round to round")


def refuse_refill(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse what has no groups to judge, or cannot take a batch that lacks some.

    Raises:
        ConfigError: which setting, and what to do.
    """
    if not dots.refill.enable:
        return
    require_fixed(config, ON, *CHOSEN_QUESTIONS, ONE_BY_ONE)
    rollout, rewards = config.actor_rollout_ref.rollout, config.reward.reward_model
    if rollout.n == 1:
        why = "one rollout tells no success rate; set it to 2 or more"
        raise excluded("actor_rollout_ref.rollout.n", 1, ON, why)
    if dots.budget.enable and dots.budget.least == 1:
        why = "one rollout tells no success rate; set it to 2 or more"
        raise excluded("dots.budget.least", 1, ON, why)
    if rewards.enable and not rewards.enable_resource_pool:
        why = "it gives rewards once the engine sleeps; set reward.reward_model.enable_resource_pool=True"
        raise excluded("reward.reward_model.enable", True, ON, why)
    if not config.actor_rollout_ref.actor.use_dynamic_bsz:
        why = "a batch that lacks groups does not divide into micro-batches of a fixed number of rows; set it to True"
        raise excluded("actor_rollout_ref.actor.use_dynamic_bsz", False, ON, why)
    refuse_uneven_mini_batches(config, ON)
    if dots.preemptive.off_policy(config.data.train_batch_size):
        why = (
            "the rollouts of several steps are sampled at once, and each would have to wait for the last group of all; "
            "turn one of them off"
        )
        raise excluded("dots.preemptive.enable", True, ON, why)
