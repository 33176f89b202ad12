"""What a run needs, checked before anything starts: settings, questions, predictor and embeddings."""

import logging
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from verl_dots.algorithms.selection import fresh_count
from verl_dots.config import GRPO_RR, GRPO_RR_DECOUPLED, LOSSES, DotsConfig
from verl_dots.curriculum.selection import rounds_batches
from verl_dots.difficulty.static import static_difficulties
from verl_dots.integration.e3_checks import check_e3
from verl_dots.questions import QuestionError, Questions, read_questions
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

MANY = 2000  # questions: minutes on a CPU with a model of 1.5B
# (key, the values that work, why)
Fixed = tuple[str, tuple, str]
CHOSEN_QUESTIONS: tuple[Fixed, ...] = (
    ("trainer.v1.trainer_mode", ("dots",), "it is part of the trainer 'dots'"),
    ("data.custom_cls.path", (None,), "questions are read from the rows of verl's own data set"),
    ("algorithm.filter_groups.enable", (None, False), "questions are chosen before the rollouts, not after them"),
    ("trainer.v1.sampler.sync_refill_failed_groups", (None, False), "verl would refill from its own order of the data"),
    ("skip.rollout_tq.enable", (None, False), "rollouts of an earlier run are of other questions"),
)
SELECTION: tuple[Fixed, ...] = (
    (
        "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
        ("verl_dots.integration.agent_loop.SeededAgentLoopManager",),
        "another agent loop manager would not keep the reference rollouts apart",
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
WHOLE_DISTRIBUTION: tuple[Fixed, ...] = (
    ("actor_rollout_ref.rollout.top_p", (1, 1.0), "its log-probs may be of the tokens within top_p alone"),
    ("actor_rollout_ref.rollout.top_k", (-1, 0), "its log-probs may be of the tokens within top_k alone"),
)
REPLAY: tuple[Fixed, ...] = (
    LOG_PROBS,
    (
        "actor_rollout_ref.actor.policy_loss.loss_mode",
        LOSSES,
        "rollouts of older policies need a loss that corrects for them",
    ),
    ("algorithm.adv_estimator", ("grpo", GRPO_RR), "replayed groups are compared within themselves"),
    ("data.gen_batch_size", (None, 1), "the number of fresh questions differs from step to step"),
    ("actor_rollout_ref.rollout.enable_rollout_routing_replay", (None, False), "experts' routes are not kept"),
)


def check(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse what could only fail, or mislead, after the start.

    Raises:
        ConfigError: a setting that excludes selection, replay or the loss, data that cannot be chosen from, a
            predictor or cached embeddings that belong to another backbone or are damaged.
    """
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if mode in LOSSES:
        _require(config, OFF_POLICY, f"actor_rollout_ref.actor.policy_loss.loss_mode={mode}")
        if mode == GRPO_RR_DECOUPLED:
            _require(config, (LOG_PROBS,), f"loss_mode={mode}")
        elif dots.loss.truncation is not None:
            raise ConfigError(
                f"dots.loss.truncation={dots.loss.truncation} does not go with loss_mode={mode}: it clips and has no "
                f"weights; set it to null, or loss_mode to {GRPO_RR_DECOUPLED}"
            )
        if dots.loss.behaviour == "engine":
            _require(config, (LOG_PROBS, *WHOLE_DISTRIBUTION), "dots.loss.behaviour=engine")
    if dots.replay.enable:
        _require(config, (*CHOSEN_QUESTIONS, *REPLAY), "dots.replay.enable=True")
        _check_replay(config, dots)
    if dots.selection.enable:
        _require(config, (*CHOSEN_QUESTIONS, *SELECTION), "dots.selection.enable=True")
    if dots.adarft.enable:
        _require(config, CHOSEN_QUESTIONS, "dots.adarft.enable=True")
    check_e3(config, dots)
    if dots.filter.enable:
        _check_filter(config)
    if not dots.chooses_questions:
        return
    try:
        questions = read_questions(
            data_files(config),
            prompt_key=config.data.prompt_key,
            on_conflict=dots.selection.conflicting_answers if dots.selection.enable else "keep",
        )
        limit = config.data.get("train_max_samples", -1)
        count = min(len(questions), limit) if limit > 0 else len(questions)
        if dots.selection.enable:
            _check_selection(config, dots, questions, count)
        elif count < config.data.train_batch_size:
            raise ConfigError(
                f"data.train_batch_size={config.data.train_batch_size} is more than the {count} different questions; "
                "no question is twice in a batch: lower it or add data"
            )
        if dots.adarft.enable:
            _check_adarft(config, dots)
    except QuestionError as error:
        raise ConfigError(f"data.train_files: {error}") from error
    except ValueError as error:
        raise error if isinstance(error, ConfigError) else ConfigError(str(error)) from error


def data_files(config: DictConfig) -> list[str]:
    """data.train_files as a list."""
    files = config.data.train_files
    return [files] if isinstance(files, str) else list(files)


def _require(config: DictConfig, fixed: tuple[Fixed, ...], what: str) -> None:
    for key, allowed, reason in fixed:
        found = OmegaConf.select(config, key)
        if found not in allowed:
            known = " or ".join(str(value) for value in allowed if value is not None) or "null"
            raise ConfigError(f"{key}={found} does not go with {what}: {reason}; set it to {known}")


def _check_filter(config: DictConfig) -> None:
    _require(config, FILTER, "dots.filter.enable=True")
    batch_size, mini_batch = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    if batch_size % mini_batch:
        raise ConfigError(
            f"data.train_batch_size={batch_size} is no multiple of actor_rollout_ref.actor.ppo_mini_batch_size="
            f"{mini_batch}: with dots.filter.enable=True a batch is cut into mini-batches of equal size"
        )
    actor = config.actor_rollout_ref.actor
    if actor.use_kl_loss or actor.entropy_coeff:
        logger.warning(
            "dots.filter.enable=True leaves rows out of the whole loss: their part of the KL loss and of the entropy "
            "bonus goes too, so that even dots.filter.threshold=0 is not quite the same training"
        )


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
    for file in data_files(config):
        columns = set(pq.read_schema(Path(file).expanduser()).names)
        if media := columns & {config.data.get("image_key", "images"), config.data.get("video_key", "videos")}:
            raise ConfigError(f"{file} has {sorted(media)}: dots.replay.enable=True keeps text alone; turn replay off")
    if config.actor_rollout_ref.rollout.temperature == 0:
        raise ConfigError(
            "actor_rollout_ref.rollout.temperature=0 does not go with dots.replay.enable=True: what is sampled "
            "greedily has no ratio; set it above 0"
        )


def _check_adarft(config: DictConfig, dots: DotsConfig) -> None:
    adarft = dots.adarft
    low, high = adarft.range
    if dots.selection.enable:
        if not 0 <= low < high <= 1:
            raise ConfigError(
                f"dots.adarft.range=[{low}, {high}] does not go with dots.selection.enable=True, whose predicted "
                "difficulties are in [0, 1]; set dots.adarft.range=[0,1] and dots.adarft.eta, the greatest step, in "
                "that unit (the paper's 50 of 100 is 0.5)"
            )
        if adarft.within is not None or adarft.coverage is not None or adarft.follow == "nothing":
            raise ConfigError(
                "dots.adarft.within, dots.adarft.coverage and dots.adarft.follow=nothing are about difficulties in the "
                "data; with dots.selection.enable=True these are predicted: leave them at their defaults"
            )
        return
    column = adarft.difficulty.split(".")[0]
    found = []
    for file in data_files(config):
        if column not in pq.read_schema(Path(file).expanduser()).names:
            raise ConfigError(f"{file} has no column {column!r} (dots.adarft.difficulty={adarft.difficulty})")
        rows = pq.read_table(Path(file).expanduser(), columns=[column]).to_pylist()
        found.append(static_difficulties(rows, adarft.difficulty, lambda place, file=file: f"{file} row {place}"))
    difficulty_N = np.concatenate(found)
    if (outside := int(((difficulty_N < low) | (difficulty_N > high)).sum())) and adarft.follow != "nothing":
        logger.warning(
            "%d of %d difficulties (%g to %g) are outside dots.adarft.range=[%g, %g], where the target stays",
            outside, len(difficulty_N), difficulty_N.min(), difficulty_N.max(), low, high,
        )  # fmt: skip


def _check_selection(config: DictConfig, dots: DotsConfig, questions: Questions, count: int) -> None:
    rounds_batches(dots.selection, count, config.data.train_batch_size)
    if dots.difficulty.device == "cuda" and config.trainer.device == "cpu":
        raise ConfigError("dots.difficulty.device=cuda does not go with device=cpu; leave it at cpu")
    _check_predictor(dots, questions)


def _check_predictor(dots: DotsConfig, questions: Questions) -> None:
    """The checkpoint and the cache against the backbone, whose weights are not loaded for it."""
    from verl_dots.difficulty.embeddings import EmbeddingCache
    from verl_dots.difficulty.predictors import backbone_of, load_attention

    backbone = backbone_of(dots.difficulty)
    cache = EmbeddingCache(dots.difficulty.cache, backbone.id)
    there = len(questions) - len(cache.missing(backbone.inputs(questions.texts, questions.answers)))
    logger.info("%d of %d questions are embedded already, in %s", there, len(questions), cache.folder)
    if dots.difficulty.device == "cpu" and len(questions) - there > MANY:
        logger.warning(
            "%d questions are embedded on the CPU before the first step; with a large backbone, fill the cache on a "
            "GPU beforehand: "
            "python -m verl_dots.difficulty.embed DATA --backbone %s --layers %s --reads %s --device cuda",
            len(questions) - there, backbone.path, backbone.layers, backbone.reads,
        )  # fmt: skip
    if dots.difficulty.predictor == "attention":
        width = load_attention(dots.difficulty).config.embedding_width
        if cache.width not in (None, width):
            raise ConfigError(
                f"dots.difficulty.checkpoint takes embeddings of width {width}, those in {cache.folder} have "
                f"{cache.width}; delete that folder, the questions are embedded again"
            )
