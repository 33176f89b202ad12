"""What a run needs, checked before anything starts: settings, questions, predictor and embeddings."""

import logging

from omegaconf import DictConfig, OmegaConf

from verl_dots.config import DotsConfig
from verl_dots.data.file_lists import file_list
from verl_dots.data.rows import schema_of
from verl_dots.launch.question_checks import check_questions
from verl_dots.methods.dash.checks import check_dash
from verl_dots.methods.e3.checks import check_e3
from verl_dots.methods.replay.settings import GRPO_RR, GRPO_RR_DECOUPLED, LOSSES
from verl_dots.methods.selection.rule import fresh_count
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

# (key, the values that work, why)
Fixed = tuple[str, tuple, str]
CHOSEN_QUESTIONS: tuple[Fixed, ...] = (
    ("trainer.v1.trainer_mode", ("dots",), "it is part of the trainer 'dots'"),
    ("data.custom_cls.path", (None,), "questions are read from the rows of verl's own data set"),
    ("algorithm.filter_groups.enable", (None, False), "questions are chosen before the rollouts, not after them"),
    ("trainer.v1.sampler.sync_refill_failed_groups", (None, False), "verl would refill from its own order of the data"),
    ("skip.rollout_tq.enable", (None, False), "rollouts of an earlier run are of other questions"),
)
OWN_AGENT_LOOP: tuple[Fixed, ...] = (
    (
        "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
        ("verl_dots.bridge.agent_loop.SeededAgentLoopManager",),
        "another agent loop manager knows no reference rollouts and no temperature of a step",
    ),
)
OFF_POLICY: tuple[Fixed, ...] = (
    ("trainer.v1.trainer_mode", ("dots",), "the trainer 'dots' provides what it needs"),
    ("algorithm.rollout_correction.rollout_is", (None,), "it corrects for the behaviour policy itself"),
    ("algorithm.rollout_correction.rollout_rs", (None,), "it corrects for the behaviour policy itself"),
    (
        "algorithm.rollout_correction.bypass_mode",
        (None, False),
        "dots.loss.behaviour=engine takes the engine's log-probs",
    ),
    ("distillation.enabled", (None, False), "verl's distillation has a loss of its own"),
    (
        "algorithm.use_kl_in_reward",
        (None, False),
        "that penalty is of old_log_probs, which may be an older policy's; use_kl_loss is of the current one's",
    ),
)
FILTER: tuple[Fixed, ...] = (
    ("trainer.v1.trainer_mode", ("dots",), "it is part of the trainer 'dots'"),
    ("actor_rollout_ref.actor.shuffle", (None, False), "mini-batches are those of the batch's own order"),
    ("distillation.enabled", (None, False), "verl's distillation has a loss of its own"),
)
LOG_PROBS: Fixed = (
    "actor_rollout_ref.rollout.calculate_log_probs",
    (True,),
    "the log-probs of the behaviour policy come from the engine",
)
ENGINE: tuple[Fixed, ...] = (
    LOG_PROBS,
    ("actor_rollout_ref.rollout.top_p", (1, 1.0), "its log-probs may be of the tokens within top_p alone"),
    ("actor_rollout_ref.rollout.top_k", (-1, 0), "its log-probs may be of the tokens within top_k alone"),
    (
        "actor_rollout_ref.rollout.logprobs_mode",
        ("processed_logprobs",),
        "its log-probs would be those before the temperature",
    ),
)
KEPT: tuple[Fixed, ...] = (
    LOG_PROBS,
    ("actor_rollout_ref.rollout.enable_rollout_routing_replay", (None, False), "experts' routes are not kept"),
)
REPLAY: tuple[Fixed, ...] = (
    *KEPT,
    (
        "actor_rollout_ref.actor.policy_loss.loss_mode",
        LOSSES,
        "rollouts of older policies need a loss that corrects for them",
    ),
    ("algorithm.adv_estimator", ("grpo", GRPO_RR), "replayed groups are compared within themselves"),
    ("data.gen_batch_size", (None, 1), "the number of fresh questions differs from step to step"),
)


def check(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse what could only fail, or mislead, after the start.

    Raises:
        ConfigError: a setting that excludes selection, replay or the loss, data that cannot be chosen from, a
            predictor or cached embeddings that belong to another backbone or are damaged.
    """
    if config.actor_rollout_ref.actor.policy_loss.loss_mode in LOSSES:
        _check_loss(config, dots)
    for enabled, fixed, what in (
        (dots.replay.enable, (*CHOSEN_QUESTIONS, *REPLAY), "dots.replay.enable=True"),
        (dots.selection.enable, (*CHOSEN_QUESTIONS, *OWN_AGENT_LOOP), "dots.selection.enable=True"),
        (dots.adarft.enable, CHOSEN_QUESTIONS, "dots.adarft.enable=True"),
        (dots.budget.enable, CHOSEN_QUESTIONS, "dots.budget.enable=True"),
        (dots.temperature.enable, (CHOSEN_QUESTIONS[0], *OWN_AGENT_LOOP), "dots.temperature.enable=True"),
        (dots.length_penalty.enable, CHOSEN_QUESTIONS, "dots.length_penalty.enable=True"),
        (dots.preemptive.enable, (*CHOSEN_QUESTIONS, *KEPT), "dots.preemptive.enable=True"),
        (dots.filter.enable, FILTER, "dots.filter.enable=True"),
    ):
        if enabled:
            _require(config, fixed, what)
    if dots.replay.enable:
        _check_replay(config, dots)
    if dots.replay.enable or dots.preemptive.enable:
        _check_kept(config, "dots.replay" if dots.replay.enable else "dots.preemptive")
    if dots.temperature.enable and dots.temperature.entropy == "engine":
        _require(config, ENGINE, "dots.temperature.entropy=engine")
    check_e3(config, dots)
    check_dash(config, dots)
    if dots.chooses_questions:
        check_questions(config, dots)


def _check_loss(config: DictConfig, dots: DotsConfig) -> None:
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    _require(config, OFF_POLICY, f"actor_rollout_ref.actor.policy_loss.loss_mode={mode}")
    if mode == GRPO_RR_DECOUPLED:
        _require(config, (LOG_PROBS,), f"loss_mode={mode}")
    elif dots.loss.truncation is not None:
        raise ConfigError(
            f"dots.loss.truncation={dots.loss.truncation} does not go with loss_mode={mode}: it clips and has no "
            f"weights; set it to null, or loss_mode to {GRPO_RR_DECOUPLED}"
        )
    if dots.loss.behaviour == "engine":
        _require(config, ENGINE, "dots.loss.behaviour=engine")


def _require(config: DictConfig, fixed: tuple[Fixed, ...], what: str) -> None:
    for key, allowed, reason in fixed:
        found = OmegaConf.select(config, key)
        if found not in allowed:
            known = " or ".join(str(value) for value in allowed if value is not None) or "null"
            raise ConfigError(f"{key}={found} does not go with {what}: {reason}; set it to {known}")


def _check_replay(config: DictConfig, dots: DotsConfig) -> None:
    batch_size, replay = config.data.train_batch_size, dots.replay
    try:
        replayed = batch_size - fresh_count(batch_size, replay.delta)
    except ValueError as error:
        raise ConfigError(f"dots.replay.{error}") from error
    if replay.capacity < replayed:
        raise ConfigError(
            f"dots.replay.capacity={replay.capacity} is less than the {replayed} groups that a batch replays "
            f"((1 - dots.replay.delta) * data.train_batch_size); it must be {replayed} or more"
        )


def _check_kept(config: DictConfig, name: str) -> None:
    """Rollouts that are kept must be text with a ratio."""
    for file in file_list(config.data.train_files):
        columns = set(schema_of(file).names)
        if media := columns & {config.data.get("image_key", "images"), config.data.get("video_key", "videos")}:
            raise ConfigError(f"{file} has {sorted(media)}: {name}.enable=True keeps text alone; turn it off")
    if config.actor_rollout_ref.rollout.temperature == 0:
        raise ConfigError(
            f"actor_rollout_ref.rollout.temperature=0 does not go with {name}.enable=True: what is sampled greedily "
            "has no ratio; set it above 0"
        )
