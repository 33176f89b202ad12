"""What E3's budget and temperature need, checked before anything starts."""

import logging

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.replay.settings import GRPO_RR
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)


def check_e3(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse budgets and temperatures that could only fail, or mislead, after the start.

    Raises:
        ConfigError: which setting, and what to do.
    """
    if dots.budget.enable:
        _check_budget(config, dots)
    if dots.temperature.enable:
        _check_temperature(config, dots)


def _check_budget(config: DictConfig, dots: DotsConfig) -> None:
    n, budget = config.actor_rollout_ref.rollout.n, dots.budget
    if not budget.least <= n <= budget.most:
        raise ConfigError(
            f"actor_rollout_ref.rollout.n={n} is outside dots.budget.least={budget.least} to "
            f"dots.budget.most={budget.most}: no budget has n rollouts a question on average"
        )
    if budget.by == "predicted" and not dots.selection.enable:
        raise ConfigError(
            "dots.budget.by=predicted needs dots.selection.enable=True, which predicts; dots.budget.by=reward does not"
        )
    if not config.actor_rollout_ref.actor.use_dynamic_bsz:
        raise ConfigError(
            "dots.budget.enable=True needs actor_rollout_ref.actor.use_dynamic_bsz=True (and that of log_prob): groups "
            "of different sizes do not divide into micro-batches of a fixed number of rows"
        )
    batch_size, mini_batch = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    if batch_size % mini_batch:
        raise ConfigError(
            f"data.train_batch_size={batch_size} is no multiple of actor_rollout_ref.actor.ppo_mini_batch_size="
            f"{mini_batch}: with dots.budget.enable=True a batch is cut into that many mini-batches of equal size"
        )
    if budget.least == 1 and config.algorithm.adv_estimator == "grpo":
        raise ConfigError(
            "dots.budget.least=1 does not go with algorithm.adv_estimator=grpo: verl's gives a rollout that is alone "
            f"its reward for an advantage; set algorithm.adv_estimator={GRPO_RR}, which gives 0, or dots.budget.least=2"
        )
    if config.algorithm.adv_estimator not in ("grpo", GRPO_RR):
        raise ConfigError(
            f"algorithm.adv_estimator={config.algorithm.adv_estimator} does not go with dots.budget.enable=True: it "
            f"must know groups of any size; set it to grpo or {GRPO_RR}"
        )


def _check_temperature(config: DictConfig, dots: DotsConfig) -> None:
    rollout, settings = config.actor_rollout_ref.rollout, dots.temperature
    if not settings.low <= rollout.temperature <= settings.high:
        raise ConfigError(
            f"actor_rollout_ref.rollout.temperature={rollout.temperature}, where the run begins, is outside "
            f"dots.temperature.low={settings.low} to dots.temperature.high={settings.high}"
        )
    steps = config.trainer.total_training_steps
    if steps and settings.target is None and settings.warm_up >= steps:
        logger.warning(
            "dots.temperature.warm_up=%d: the temperature stays where it begins for all of the run's %d steps, while "
            "the target is measured; lower it, or give dots.temperature.target", settings.warm_up, steps,
        )  # fmt: skip
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    for passes_by, what in (
        (config.algorithm.get("rollout_correction", {}).get("bypass_mode"), "rollout_correction.bypass_mode=True"),
        (mode == GRPO_RR and dots.loss.behaviour == "engine", f"loss_mode={mode} with dots.loss.behaviour=engine"),
    ):
        if passes_by and settings.entropy == "recomputed":
            raise ConfigError(
                f"dots.temperature.entropy=recomputed does not go with {what}: no forward pass computes it; set "
                "dots.temperature.entropy=engine, which takes the log-probs of the rollouts"
            )
    if dots.replay.enable and config.actor_rollout_ref.model.use_fused_kernels:
        raise ConfigError(
            "dots.temperature.enable=True with dots.replay.enable=True gives the rows of a batch temperatures of their "
            "own, which actor_rollout_ref.model.use_fused_kernels=True does not know; turn one of them off"
        )
