"""What stopping early does not go with, checked before anything starts."""

import math

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.refusals import (
    OWN_AGENT_LOOP,
    excluded,
    refuse_asynchronous,
    refuse_without_groups_to_judge,
    require_fixed,
)
from verl_dots.methods.stop_early.rule import LEAST_FIRST, first_size

ON = "dots.stop_early.enable=True"


def refuse_stop_early(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse what predicts no difficulty, has no rest to save, or cannot take a batch that lacks groups.

    Raises:
        ConfigError: which setting, and what to do.
    """
    if not dots.stop_early.enable:
        return
    require_fixed(config, ON, OWN_AGENT_LOOP)
    refuse_without_groups_to_judge(config, dots, ON)
    refuse_asynchronous(config, ON, "the two parts of a group would be of different policies")
    if not (dots.selection.enable or dots.mopps.enable):
        why = "a question stops where a prediction of its difficulty agrees, and nothing predicts any; enable it"
        raise excluded("dots.selection.enable", False, ON, f"{why}, or dots.mopps.enable")
    n = config.actor_rollout_ref.rollout.n
    if first_size(n, dots.stop_early.first) == n:
        enough = max(n + 1, math.ceil(1 / (1 - dots.stop_early.first) - 1e-9))  # one of them comes later
        why = f"all of them come first, and none is left to save; set it to {enough} or more"
        why += ", or lower dots.stop_early.first" if n > LEAST_FIRST else ""
        raise excluded("actor_rollout_ref.rollout.n", n, f"{ON} and dots.stop_early.first={dots.stop_early.first}", why)
