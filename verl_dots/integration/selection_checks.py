"""What a run with selection needs, checked before anything starts: settings, questions, predictor and embeddings."""

import logging

from omegaconf import DictConfig, OmegaConf

from verl_dots.config import ConfigError, DotsConfig
from verl_dots.curriculum import rounds_batches
from verl_dots.questions import QuestionError, Questions, read_questions

logger = logging.getLogger(__name__)

# (key, the value that works, why)
FIXED = (
    ("trainer.v1.trainer_mode", ("dots", "sync"), "selection is part of the trainer 'dots'"),
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
        rounds_batches(dots.selection, len(questions), config.data.train_batch_size)
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
    if dots.difficulty.predictor == "attention":
        width = load_attention(dots.difficulty).config.embedding_width
        if cache.width not in (None, width):
            raise ConfigError(
                f"dots.difficulty.checkpoint takes embeddings of width {width}, those in {cache.folder} have "
                f"{cache.width}; delete that folder, the questions are embedded again"
            )
