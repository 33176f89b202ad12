"""What the methods of a run need, checked before anything starts; each method's room says what that is."""

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.adarft.checks import refuse_adarft, refuse_adarft_questions
from verl_dots.methods.dash.checks import refuse_filter, refuse_preemptive, refuse_preemptive_questions
from verl_dots.methods.e3.checks import refuse_budget, refuse_length_penalty, refuse_temperature
from verl_dots.methods.refusals import files_of, refused_as
from verl_dots.methods.replay.checks import refuse_loss, refuse_replay
from verl_dots.methods.selection.checks import refuse_selection, refuse_selection_questions
from verl_dots.questions import read_questions
from verl_dots.settings import ConfigError

# One for each stage; each returns at once where its stage is off.
STAGES = (
    refuse_loss,
    refuse_replay,
    refuse_selection,
    refuse_adarft,
    refuse_budget,
    refuse_temperature,
    refuse_length_penalty,
    refuse_preemptive,
    refuse_filter,
)
OF_QUESTIONS = (refuse_selection_questions, refuse_preemptive_questions, refuse_adarft_questions)


def check(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse what could only fail, or mislead, after the start.

    Raises:
        ConfigError: a setting that excludes a method, data that cannot be chosen from, a predictor or cached embeddings
            that belong to another backbone or are damaged.
    """
    for refuse in STAGES:
        refuse(config, dots)
    if dots.chooses_questions:
        _check_questions(config, dots)


def _check_questions(config: DictConfig, dots: DotsConfig) -> None:
    with refused_as("data.train_files", "data"):
        files = files_of(config, "data.train_files")
        questions = read_questions(files, prompt_key=config.data.prompt_key, on_conflict=dots.on_conflict)
    limit, batch_size = config.data.get("train_max_samples", -1), config.data.train_batch_size
    usable = min(len(questions), limit) if limit > 0 else len(questions)
    if usable < batch_size:
        raise ConfigError(
            f"data.train_batch_size={batch_size} is more than the {usable} different questions; no question is twice "
            "in a batch: lower it or add data",
            key="data.train_batch_size",
            reason="size",
        )
    for refuse in OF_QUESTIONS:
        refuse(config, dots, questions, usable)
