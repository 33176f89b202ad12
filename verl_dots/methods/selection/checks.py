"""What DOTS's selection needs of a run, checked before anything starts."""

import logging

import numpy as np
from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.data.questions import Questions
from verl_dots.methods.refusals import (
    CHOSEN_QUESTIONS,
    OWN_AGENT_LOOP,
    excluded,
    keeps_going,
    numbers_in_data,
    refused_as,
    require_fixed,
)
from verl_dots.methods.selection.exploration import Exploration
from verl_dots.methods.selection.round import rounds_batches
from verl_dots.settings import ConfigError, require

logger = logging.getLogger(__name__)

MANY = 2000  # questions: minutes on a CPU with a model of 1.5B
CACHE = "dots.difficulty.cache"
FIELD = "dots.difficulty.field"


def refuse_selection(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that selection cannot work with."""
    if not dots.selection.enable:
        return
    require_fixed(config, "dots.selection.enable=True", *CHOSEN_QUESTIONS, OWN_AGENT_LOOP)
    rewards = config.reward.reward_model
    if keeps_going(config) and dots.selection.references and rewards.enable and not rewards.enable_resource_pool:
        why = "the engine has other rollouts beside the references; set reward.reward_model.enable_resource_pool=True"
        mode = f"trainer.v1.trainer_mode={config.trainer.v1.trainer_mode}"
        raise excluded("reward.reward_model.enable", True, f"dots.selection.enable=True and {mode}", why)
    if dots.selection.score == "effectiveness":
        tries = config.actor_rollout_ref.rollout.n
        rule = "must be 2 or more with dots.selection.score=effectiveness: the rewards of a group must differ"
        require("actor_rollout_ref.rollout.n", tries, tries >= 2, rule)
    backbone = dots.difficulty.backbone
    require("dots.difficulty.backbone", backbone, backbone is not None, "must be a model folder or hub id", "missing")
    if not dots.selection.references:
        if dots.difficulty.predictor != "online":
            why = "it predicts from reference rollouts alone; set it to online"
            raise excluded("dots.difficulty.predictor", dots.difficulty.predictor, "dots.selection.references=0", why)
        with refused_as("dots.selection.references", "size"):
            _explored(dots, config.data.train_batch_size)
    if dots.difficulty.device == "cuda" and config.trainer.device == "cpu":
        raise excluded("dots.difficulty.device", "cuda", "device=cpu", "there is no GPU for it; set it to cpu")


def _explored(dots: DotsConfig, batch_size: int) -> int:
    """Questions of a batch that are drawn uniformly; raises ValueError where a step rolls out too few."""
    fresh = round(dots.replay.delta * batch_size) if dots.replay.enable else batch_size
    exploration = Exploration.of(dots.selection, fresh, questions=0)
    return exploration.count if exploration else 0


def refuse_selection_questions(config: DictConfig, dots: DotsConfig, questions: Questions, usable: int) -> None:
    """Raise ConfigError for questions that selection cannot choose from, or whose difficulty it cannot predict."""
    if not dots.selection.enable:
        return
    batch_size = config.data.train_batch_size
    selected = batch_size - _explored(dots, batch_size)
    with refused_as("dots.selection.references", "size"):
        batches = rounds_batches(dots.selection, usable, selected)
    sampled = dots.preemptive.batches(batch_size) if dots.preemptive.off_policy(batch_size) else 1
    if batches % sampled:
        raise ConfigError(
            f"dots.preemptive.prompts={dots.preemptive.prompts} is {sampled} batches, which do not divide a round of "
            f"selection: with {usable} questions it is {batches} batches of {selected} (dots.selection.mu="
            f"{dots.selection.mu}); lower it, or add data",
            key="dots.preemptive.prompts",
            reason="size",
        )
    if dots.difficulty.field is not None:
        known_P = questions.means(numbers_in_data(config, dots.difficulty.field, FIELD))
        if np.ptp(known_P) == 0:
            logger.warning(
                "%s=%s is %g for every question, which tells nothing of any", FIELD, dots.difficulty.field, known_P[0]
            )
    _refuse_predictor(dots, questions, has_gpus=config.trainer.device != "cpu")


def _refuse_predictor(dots: DotsConfig, questions: Questions, has_gpus: bool) -> None:
    """The checkpoint and the cache against the backbone, whose weights are not loaded for it."""
    from verl_dots.difficulty.embeddings import EmbeddingCache
    from verl_dots.difficulty.predictors import backbone_of, load_attention

    with refused_as("dots.difficulty.checkpoint", "file"):
        backbone = backbone_of(dots.difficulty)
    with refused_as("dots.difficulty.backbone", "file"):
        identity = backbone.id
    with refused_as(CACHE, "file"):
        cache = EmbeddingCache(dots.difficulty.cache, identity)
        there = len(questions) - len(cache.missing(backbone.inputs(questions.texts, questions.answers)))
    logger.info("%d of %d questions are embedded already, in %s", there, len(questions), cache.folder)
    if has_gpus and dots.difficulty.device == "cpu" and len(questions) - there > MANY:
        logger.warning(
            "%d questions are embedded on the CPU before the first step; set dots.difficulty.device=cuda, or "
            "fill the cache on a GPU beforehand: "
            "python -m verl_dots.difficulty.embed DATA --backbone %s --layers %s --reads %s --device cuda",
            len(questions) - there, backbone.path, backbone.layers, backbone.reads,
        )  # fmt: skip
    if dots.difficulty.predictor != "attention":
        return
    with refused_as("dots.difficulty.checkpoint", "file"):
        trained = load_attention(dots.difficulty).config
    if dots.selection.score == "effectiveness" and not trained.direct_head:
        why = "its predictor has difficulty alone (--preset paper); train the default one, or leave score at difficulty"
        raise excluded("dots.selection.score", dots.selection.score, "dots.difficulty.checkpoint", why)
    width = trained.embedding_width
    if cache.width not in (None, width):
        raise ConfigError(
            f"dots.difficulty.checkpoint takes embeddings of width {width}, those in {cache.folder} have "
            f"{cache.width}; delete that folder, the questions are embedded again",
            key="dots.difficulty.checkpoint",
            reason="size",
        )
