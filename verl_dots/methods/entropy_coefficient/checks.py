"""What the adaptive entropy bonus needs of a run, checked before anything starts."""

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.refusals import NO_DISTILLATION, TRAINER, Fixed, excluded, passes_by, require_fixed

ON = "dots.entropy_coefficient.enable=True"
FIXED = Fixed("actor_rollout_ref.actor.entropy_coeff", (0,), "its own coefficient takes that one's place")


def refuse_entropy_coefficient(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that the bonus cannot work with."""
    if not dots.entropy_coefficient.enable:
        return
    require_fixed(config, ON, TRAINER, NO_DISTILLATION, FIXED)
    if dots.temperature.enable:
        raise excluded("dots.temperature.enable", True, ON, "both would hold the same entropy; turn one of them off")
    if what := passes_by(config, dots):
        why = f"with {what} no forward pass computes the entropy of the rollouts; turn one of them off"
        raise excluded("dots.entropy_coefficient.enable", True, what, why)
