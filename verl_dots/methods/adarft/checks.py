"""What AdaRFT needs of a run, checked before anything starts."""

import logging

import numpy as np
from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.data.questions import Questions
from verl_dots.methods.adarft.settings import AdaRFTConfig
from verl_dots.methods.refusals import CHOSEN_QUESTIONS, excluded, numbers_in_data, require_fixed
from verl_dots.settings import ConfigError, require

logger = logging.getLogger(__name__)

ON = "dots.adarft.enable=True"
DIFFICULTY = "dots.adarft.difficulty"
# Of the range of the target; difficulties within less are in another unit.
LEAST_SPAN = 0.1


def refuse_adarft(config: DictConfig, dots: DotsConfig) -> None:
    """Raise ConfigError for settings that AdaRFT cannot work with."""
    low, high = dots.reward_range
    if dots.adarft.enable or dots.adarft.beta != AdaRFTConfig.beta:
        rule = f"must be a mean reward, in dots.reward_range=[{low:g}, {high:g}]"
        require("dots.adarft.beta", dots.adarft.beta, low <= dots.adarft.beta <= high, rule)
    if not dots.adarft.enable:
        return
    require_fixed(config, ON, *CHOSEN_QUESTIONS)
    if dots.selection.enable:
        _refuse_with_selection(dots)


def refuse_adarft_questions(config: DictConfig, dots: DotsConfig, questions: Questions, usable: int) -> None:
    """Raise ConfigError for questions without the difficulty that the target is compared with.

    Where dots.selection predicts the difficulties there is nothing to check.
    """
    adarft, batch_size = dots.adarft, config.data.train_batch_size
    if not adarft.enable or dots.selection.enable:
        return
    difficulty_N = numbers_in_data(config, adarft.difficulty, DIFFICULTY)
    least, greatest = adarft.within or (-np.inf, np.inf)
    difficulty_P = questions.means(difficulty_N)
    allowed = int(((difficulty_P >= least) & (difficulty_P <= greatest)).sum())
    if allowed < batch_size:
        raise ConfigError(
            f"dots.adarft.within=[{least}, {greatest}] leaves {allowed} of {len(difficulty_P)} different questions, "
            f"and data.train_batch_size is {batch_size}: widen it, lower the batch size, or add data",
            key="dots.adarft.within",
            reason="size",
        )
    low, high = adarft.range
    span = float(np.ptp(difficulty_P))
    if span == 0 and adarft.follow != "nothing":
        what = f"{DIFFICULTY}={adarft.difficulty}"
        logger.warning("%s is %g for every question, so that no target is nearer to any", what, difficulty_P[0])
    elif span < LEAST_SPAN * (high - low) and span <= adarft.eta and adarft.follow == "reward":
        logger.warning(
            "%s=%s is from %g to %g, and dots.adarft.range=[%g, %g] with dots.adarft.eta=%g is of another unit: the "
            "target would jump from end to end, and no question between them be chosen; set both in the data's unit",
            DIFFICULTY, adarft.difficulty, difficulty_P.min(), difficulty_P.max(), low, high, adarft.eta,
        )  # fmt: skip
    if (outside := int(((difficulty_N < low) | (difficulty_N > high)).sum())) and adarft.follow != "nothing":
        logger.warning(
            "%d of %d difficulties (%g to %g) are outside dots.adarft.range=[%g, %g], where the target stays",
            outside, len(difficulty_N), difficulty_N.min(), difficulty_N.max(), low, high,
        )  # fmt: skip


def _refuse_with_selection(dots: DotsConfig) -> None:
    """What is about difficulties in the data means nothing for those that selection predicts."""
    if dots.selection.score != "difficulty":
        why = "it moves a target difficulty, and that score has none; leave it at difficulty, or turn AdaRFT off"
        raise excluded("dots.selection.score", dots.selection.score, ON, why)
    low, high = dots.adarft.range
    if not 0 <= low < high <= 1:
        raise excluded(
            "dots.adarft.range", f"[{low}, {high}]", "dots.selection.enable=True",
            "its predicted difficulties are in [0, 1]; set dots.adarft.range=[0,1] and dots.adarft.eta, the greatest "
            "step, in that unit (the paper's 50 of 100 is 0.5)",
        )  # fmt: skip
    for name in ("within", "coverage"):
        if (value := getattr(dots.adarft, name)) is not None:
            why = "it is about difficulties in the data, and these are predicted; leave it at null"
            raise excluded(f"dots.adarft.{name}", value, "dots.selection.enable=True", why)
    if dots.adarft.follow == "nothing":
        why = "it draws uniformly from the data, and selection chooses; set it to reward or schedule"
        raise excluded("dots.adarft.follow", "nothing", "dots.selection.enable=True", why)
