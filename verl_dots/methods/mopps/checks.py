"""What MoPPS does not go with, checked before anything starts."""

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.settings import ConfigError


def refuse_mopps(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse a second source of questions, and rollouts of several steps that are sampled at once.

    What every source of questions needs of verl's own settings is CHOSEN_QUESTIONS of launch/checks.py.

    Raises:
        ConfigError: which setting, and what to do.
    """
    if not dots.mopps.enable:
        return
    for enabled, key in ((dots.selection.enable, "dots.selection"), (dots.adarft.enable, "dots.adarft")):
        if enabled:
            raise ConfigError(
                f"{key}.enable=True does not go with dots.mopps.enable=True: each of them chooses the questions; turn "
                "one of them off"
            )
    batch_size = config.data.train_batch_size
    if dots.preemptive.off_policy(batch_size):
        raise ConfigError(
            f"dots.mopps.enable=True does not go with dots.preemptive.prompts={dots.preemptive.prompts} and updates="
            f"{dots.preemptive.updates}: the posterior must see the rollouts of every step, once, before the next; set "
            f"both to null, which is data.train_batch_size={batch_size} questions for one step"
        )
