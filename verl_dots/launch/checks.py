"""What the methods of a run need, checked before anything starts; each method's room says what that is."""

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.data.questions import read_questions
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
        questions = read_questions(files, prompt_key=config.data.prompt_key, on_conflict=on_conflict)
    limit, batch_size = config.data.get("train_max_samples", -1), config.data.train_batch_size
    usable = min(len(questions), limit) if limit > 0 else len(questions)
    if usable < batch_size:
        raise ConfigError(
            f"data.train_batch_size={batch_size} is more than the {usable} different questions; no question is twice "
            "in a batch: lower it or add data",
            key="data.train_batch_size",
            reason="size",
        )
    for stage in METHODS:
        stage.refuse_questions(config, dots, questions, usable)
