"""What refill does not go with, checked before anything starts."""

import logging

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.refusals import Fixed, refuse_without_groups_to_judge, require_fixed
from verl_dots.settings import require

logger = logging.getLogger(__name__)

ON = "dots.refill.enable=True"
ONE_BY_ONE = Fixed("data.gen_batch_size", (None, 1), "the number of further questions differs from round to round")


def refuse_refill(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse what has no groups to judge, or cannot take a batch that lacks some.

    Raises:
        ConfigError: which setting, and what to do.
    """
    if dots.refill.enable:
        require_fixed(config, ON, ONE_BY_ONE)
        refuse_without_groups_to_judge(config, dots, ON)
        if dots.refill.within is not None:
            least, most = dots.refill.within
            rule = "must hold rates between 0 and 1: groups of 0 and 1 alone teach nothing"
            require("dots.refill.within", list(dots.refill.within), most > 0 and least < 1, rule)
            _warn_of_an_empty_band(config.actor_rollout_ref.rollout.n, least, most, dots.budget.enable)


def _warn_of_an_empty_band(rollouts: int, least: float, most: float, budgets: bool) -> None:
    """Partial credit may still have a rate there."""
    if not budgets and not any(least <= right / rollouts <= most for right in range(1, rollouts)):
        logger.warning(
            "dots.refill.within=[%g, %g] has no k / %d, a share of right answers among actor_rollout_ref.rollout.n: "
            "unless rewards are partial no group is in it, and each step rolls out all of its rounds",
            least, most, rollouts,
        )  # fmt: skip
