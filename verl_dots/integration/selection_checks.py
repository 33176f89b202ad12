"""What a run with selection needs, checked before anything starts: settings, questions, predictor and embeddings."""

import logging

from omegaconf import DictConfig, OmegaConf

from verl_dots.config import ConfigError, DotsConfig
from verl_dots.curriculum import rounds_batches
from verl_dots.questions import QuestionError, Questions, read_questions

logger = logging.getLogger(__name__)

MANY = 2000  # questions: minutes on a CPU with a model of 1.5B
# (key, the values that work, why)
FIXED = (
    ("trainer.v1.trainer_mode", ("dots",), "selection is part of the trainer 'dots'"),
    (
        "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
        ("verl_dots.integration.agent_loop.SeededAgentLoopManager",),
        "another agent loop manager would not keep the reference rollouts apart",
    ),
    ("data.custom_cls.path", (None,), "questions are read from the rows of verl's own data set"),
    (
        "algorithm.filter_groups.enable",
        (None, False),
        "selection replaces DAPO's filter: it chooses before the rollouts",
    ),
    ("trainer.v1.sampler.sync_refill_failed_groups", (None, False), "verl would refill from its own order of the data"),
    ("skip.rollout_tq.enable", (None, False), "rollouts of an earlier run are of other questions"),
)


def check(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse what could only fail, or mislead, after the start.

    Raises:
        ConfigError: a setting that excludes selection, data that cannot be selected from, a predictor or cached
            embeddings that belong to another backbone or are damaged.
    """
    for key, allowed, reason in FIXED:
        found = OmegaConf.select(config, key)
        if found not in allowed:
            raise ConfigError(f"{key}={found} does not go with dots.selection.enable=True: {reason}")
    files = config.data.train_files
    try:
        questions = read_questions(
            [files] if isinstance(files, str) else list(files),
            prompt_key=config.data.prompt_key,
            on_conflict=dots.selection.conflicting_answers,
        )
        limit = config.data.get("train_max_samples", -1)
        count = min(len(questions), limit) if limit > 0 else len(questions)
        rounds_batches(dots.selection, count, config.data.train_batch_size)
        if dots.difficulty.device == "cuda" and config.trainer.device == "cpu":
            raise ConfigError("dots.difficulty.device=cuda does not go with device=cpu; leave it at cpu")
        _check_predictor(dots, questions)
    except QuestionError as error:
        raise ConfigError(f"data.train_files: {error}") from error
    except ValueError as error:
        raise error if isinstance(error, ConfigError) else ConfigError(str(error)) from error


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
