"""What the methods of a run need, checked before anything starts; each method's room says what that is."""

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.data.questions import read_questions
from verl_dots.launch.used_rows import TRAIN, sample_of
from verl_dots.methods.refusals import refuse_media, refused_as, train_files
from verl_dots.settings import ConfigError


def check(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse what could only fail, or mislead, after the start.

    Raises:
        ConfigError: a setting that excludes a method, data that cannot be chosen from, a predictor or cached embeddings
            that belong to another backbone or are damaged.
    """
    # It imports verl: not before the environment is set.
    from verl_dots.methods.table import METHODS, enabled

    for stage in METHODS:
        stage.refuse(config, dots)
    if knowing := [stage.name for stage in enabled(dots, config) if stage.knows_questions]:
        refuse_media(config, f"dots.{knowing[0]} tells questions apart by their text")
        _check_questions(config, dots)


def _check_questions(config: DictConfig, dots: DotsConfig) -> None:
    # It imports verl: not before the environment is set.
    from verl_dots.methods.table import METHODS, enabled, source_of

    on_conflict = source_of(enabled(dots, config)).on_conflict(dots)
    with refused_as("data.train_files", "data"):
        files = train_files(config)
        sample = sample_of(config, TRAIN, files)
        prompt_key = config.data.prompt_key
        questions = read_questions(files, prompt_key=prompt_key, on_conflict=on_conflict, places=sample.places)
    usable, batch_size = min(len(questions), sample.size), config.data.train_batch_size
    if usable < batch_size:
        raise ConfigError(
            f"data.train_batch_size={batch_size} is more than the {usable} different questions; no question is twice "
            "in a batch: lower it or add data",
            key="data.train_batch_size",
            reason="size",
        )
    for stage in METHODS:
        stage.refuse_questions(config, dots, questions, usable)
