"""What E3's budget, temperature and length penalty need of a run, checked before anything starts."""

import logging

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.data.questions import Questions
from verl_dots.methods.refusals import (
    CHOSEN_QUESTIONS,
    ENGINE,
    OWN_AGENT_LOOP,
    TRAINER,
    excluded,
    keeps_going,
    passes_by,
    refuse_uneven_mini_batches,
    require_fixed,
)
from verl_dots.methods.replay.settings import GRPO_RR
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

VLLM_HIGHEST = 2.0  # temperature of its SamplingParams
BUDGET_ON, TEMPERATURE_ON = "dots.budget.enable=True", "dots.temperature.enable=True"


def refuse_budget(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that the budget cannot work with."""
    budget, n, estimator = dots.budget, config.actor_rollout_ref.rollout.n, config.algorithm.adv_estimator
    if not budget.enable:
        return
    require_fixed(config, BUDGET_ON, *CHOSEN_QUESTIONS)
    if not budget.least <= n <= budget.most:
        raise ConfigError(
            f"actor_rollout_ref.rollout.n={n} is outside dots.budget.least={budget.least} to "
            f"dots.budget.most={budget.most}: no budget has n rollouts a question on average",
            key="actor_rollout_ref.rollout.n",
            reason="size",
        )
    if budget.by == "predicted" and not dots.selection.enable:
        raise ConfigError(
            "dots.budget.by=predicted needs dots.selection.enable=True, which predicts; dots.budget.by=reward does not",
            key="dots.budget.by",
            reason="missing",
        )
    refuse_uneven_mini_batches(config, BUDGET_ON)
    if budget.least == 1 and estimator == "grpo":
        raise excluded(
            "dots.budget.least", 1, "algorithm.adv_estimator=grpo",
            f"verl's gives a rollout that is alone its reward for an advantage; set algorithm.adv_estimator={GRPO_RR}, "
            "which gives 0, or dots.budget.least=2",
        )  # fmt: skip
    if estimator not in ("grpo", GRPO_RR):
        why = f"it must know groups of any size; set it to grpo or {GRPO_RR}"
        raise excluded("algorithm.adv_estimator", estimator, BUDGET_ON, why)


def refuse_temperature(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that the control of the temperature cannot work with."""
    rollout, settings = config.actor_rollout_ref.rollout, dots.temperature
    if not settings.enable:
        return
    require_fixed(config, TEMPERATURE_ON, TRAINER, OWN_AGENT_LOOP)
    if keeps_going(config) and config.actor_rollout_ref.model.use_fused_kernels:
        key, mode = "actor_rollout_ref.model.use_fused_kernels", config.trainer.v1.trainer_mode
        why = "a step trains on rollouts of several temperatures, and these kernels know one for all; set it to False"
        raise excluded(key, True, f"{TEMPERATURE_ON} and trainer.v1.trainer_mode={mode}", why)
    if settings.entropy == "engine":
        require_fixed(config, "dots.temperature.entropy=engine", *ENGINE)
    if not settings.low <= rollout.temperature <= settings.high:
        raise ConfigError(
            f"actor_rollout_ref.rollout.temperature={rollout.temperature}, where the run begins, is outside "
            f"dots.temperature.low={settings.low} to dots.temperature.high={settings.high}",
            key="actor_rollout_ref.rollout.temperature",
            reason="size",
        )
    if rollout.name == "vllm" and settings.high > VLLM_HIGHEST:
        raise ConfigError(
            f"dots.temperature.high={settings.high:g}: vLLM samples at {VLLM_HIGHEST:g} or less and would fail in the "
            f"middle of the run; set dots.temperature.high={VLLM_HIGHEST:g} or less",
            key="dots.temperature.high",
            reason="size",
        )
    steps = config.trainer.total_training_steps
    if steps and settings.target is None and settings.warm_up >= steps:
        logger.warning(
            "dots.temperature.warm_up=%d: the temperature stays where it begins for all of the run's %d steps, while "
            "the target is measured; lower it, or give dots.temperature.target", settings.warm_up, steps,
        )  # fmt: skip
    if settings.entropy == "recomputed" and (what := passes_by(config, dots)):
        raise excluded(
            "dots.temperature.entropy", "recomputed", what,
            "no forward pass computes it; set dots.temperature.entropy=engine, which takes the log-probs of the "
            "rollouts",
        )  # fmt: skip
    if dots.replay.enable and config.actor_rollout_ref.model.use_fused_kernels:
        raise excluded(
            "actor_rollout_ref.model.use_fused_kernels", True, f"{TEMPERATURE_ON} and dots.replay.enable=True",
            "the rows of a batch have temperatures of their own, which it does not know; turn one of them off",
        )  # fmt: skip


def refuse_length_penalty(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that the length penalty cannot work with."""
    if dots.length_penalty.enable:
        require_fixed(config, "dots.length_penalty.enable=True", *CHOSEN_QUESTIONS)


def refuse_length_penalty_questions(config: DictConfig, dots: DotsConfig, questions: Questions, usable: int) -> None:
    """Say so where the run ends before the penalty begins."""
    penalty, steps = dots.length_penalty, config.trainer.total_training_steps
    if penalty.enable and penalty.ranked == "epoch" and steps and steps * config.data.train_batch_size <= usable:
        logger.warning(
            "dots.length_penalty.enable=True does nothing in this run: questions are ranked after an epoch, and its "
            "%d steps of %d questions are no more than the %d there are; dots.length_penalty.ranked=step ranks them "
            "before each step", steps, config.data.train_batch_size, usable,
        )  # fmt: skip
