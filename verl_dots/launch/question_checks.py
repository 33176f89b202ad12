"""The questions of a run that chooses among them, and what predicts their difficulty: checked before the start."""

import logging

import numpy as np
from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.data.file_lists import QuestionError, file_list
from verl_dots.data.questions import Questions, read_questions
from verl_dots.data.rows import read_rows, require_columns
from verl_dots.difficulty.static import static_difficulties
from verl_dots.methods.selection.state import rounds_batches
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

MANY = 2000  # questions: minutes on a CPU with a model of 1.5B


def check_questions(config: DictConfig, dots: DotsConfig) -> None:
    try:
        questions = read_questions(
            file_list(config.data.train_files),
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
            _check_adarft(config, dots, questions)
    except QuestionError as error:
        raise ConfigError(f"data.train_files: {error}") from error
    except ValueError as error:
        raise error if isinstance(error, ConfigError) else ConfigError(str(error)) from error


def _check_adarft(config: DictConfig, dots: DotsConfig, questions: Questions) -> None:
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
    for file in file_list(config.data.train_files):
        require_columns(file, [column], f" (dots.adarft.difficulty={adarft.difficulty})")
        found.append(
            static_difficulties(
                read_rows(file, [column]), adarft.difficulty, lambda place, file=file: f"{file} row {place}"
            )
        )
    difficulty_N = np.concatenate(found)
    least, greatest = adarft.within or (-np.inf, np.inf)
    difficulty_P = difficulty_N[questions.rows]
    allowed = int(((difficulty_P >= least) & (difficulty_P <= greatest)).sum())
    if allowed < config.data.train_batch_size:
        raise ConfigError(
            f"dots.adarft.within=[{least}, {greatest}] leaves {allowed} of {len(difficulty_P)} different questions, "
            f"and data.train_batch_size is {config.data.train_batch_size}: widen it, lower the batch size, or add data"
        )
    if (outside := int(((difficulty_N < low) | (difficulty_N > high)).sum())) and adarft.follow != "nothing":
        logger.warning(
            "%d of %d difficulties (%g to %g) are outside dots.adarft.range=[%g, %g], where the target stays",
            outside, len(difficulty_N), difficulty_N.min(), difficulty_N.max(), low, high,
        )  # fmt: skip


def _check_selection(config: DictConfig, dots: DotsConfig, questions: Questions, count: int) -> None:
    batch_size = config.data.train_batch_size
    batches = rounds_batches(dots.selection, count, batch_size)
    sampled = dots.preemptive.batches(batch_size) if dots.preemptive.off_policy(batch_size) else 1
    if batches % sampled:
        raise ConfigError(
            f"a round of dots.selection is {batches} batches of {batch_size} with {count} questions "
            f"(dots.selection.mu={dots.selection.mu}), which dots.preemptive.prompts={dots.preemptive.prompts} "
            f"({sampled} batches) does not divide: lower it, or add data"
        )
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
