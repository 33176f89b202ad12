"""What rollout replay and the loss that corrects for it need of a run, checked before anything starts."""

from dataclasses import asdict

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.refusals import (
    CHOSEN_QUESTIONS,
    ENGINE,
    LOG_PROBS,
    LOSS_MODE,
    NO_DISTILLATION,
    TRAINER,
    Fixed,
    excluded,
    keeps_going,
    refuse_kept,
    refused_as,
    require_fixed,
)
from verl_dots.methods.replay.sampling import fresh_count
from verl_dots.methods.replay.settings import GRPO_RR, GRPO_RR_DECOUPLED, LOSSES, LossConfig
from verl_dots.settings import ConfigError

ON = "dots.replay.enable=True"
REPLAY = (
    Fixed(LOSS_MODE, LOSSES, "rollouts of older policies need a loss that corrects for them"),
    Fixed("algorithm.adv_estimator", ("grpo", GRPO_RR), "replayed groups are compared within themselves"),
    Fixed("data.gen_batch_size", (None, 1), "the number of fresh questions differs from step to step"),
)
OFF_POLICY = (
    TRAINER,
    Fixed("algorithm.rollout_correction.rollout_is", (None,), "it corrects for the behaviour policy itself"),
    Fixed("algorithm.rollout_correction.rollout_rs", (None,), "it corrects for the behaviour policy itself"),
    Fixed(
        "algorithm.rollout_correction.bypass_mode",
        (None, False),
        "dots.loss.behaviour=engine takes the engine's log-probs",
    ),
    NO_DISTILLATION,
    Fixed(
        "algorithm.use_kl_in_reward",
        (None, False),
        "that penalty is of old_log_probs, which may be an older policy's; use_kl_loss is of the current one's",
    ),
)


def refuse_replay(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that replay cannot work with."""
    replay, batch_size = dots.replay, config.data.train_batch_size
    if not replay.enable:
        return
    require_fixed(config, ON, *CHOSEN_QUESTIONS, *REPLAY)
    refuse_kept(config, ON)
    if config.actor_rollout_ref.rollout.n == 1:
        why = "groups are replayed whose rewards differ; set it to 2 or more"
        raise excluded("actor_rollout_ref.rollout.n", 1, ON, why)
    with refused_as("dots.replay.delta", "size"):
        replayed = batch_size - fresh_count(batch_size, replay.delta)
    if replay.capacity < replayed:
        raise ConfigError(
            f"dots.replay.capacity={replay.capacity} is less than the {replayed} groups that a batch replays "
            f"((1 - dots.replay.delta) * data.train_batch_size); it must be {replayed} or more",
            key="dots.replay.capacity",
            reason="size",
        )


def refuse_loss(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that the losses of this project cannot work with."""
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if mode not in LOSSES:
        for name, default in asdict(LossConfig()).items():
            if (value := getattr(dots.loss, name)) != default:
                why = f"that loss does not read it; leave it out, or set {LOSS_MODE} to {' or '.join(LOSSES)}"
                raise excluded(f"dots.loss.{name}", value, f"loss_mode={mode}", why)
        return
    require_fixed(config, f"{LOSS_MODE}={mode}", *OFF_POLICY)
    if mode == GRPO_RR_DECOUPLED:
        require_fixed(config, f"{LOSS_MODE}={mode}", LOG_PROBS)
    elif dots.loss.truncation is not None:
        why = f"it clips and has no weights; set it to null, or loss_mode to {GRPO_RR_DECOUPLED}"
        raise excluded("dots.loss.truncation", dots.loss.truncation, f"loss_mode={mode}", why)
    if dots.loss.behaviour == "engine":
        require_fixed(config, "dots.loss.behaviour=engine", *ENGINE)
    elif keeps_going(config):
        mode = f"trainer.v1.trainer_mode={config.trainer.v1.trainer_mode}"
        why = "an older policy may have sampled a rollout, and only the engine knows its log-probs; set it to engine"
        raise excluded("dots.loss.behaviour", dots.loss.behaviour, mode, why)
