"""Which rows of its files a run uses: verl takes a sample of them first, then leaves out prompts that are too long."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig

from verl_dots.data.file_report import FileReport
from verl_dots.data.prompt_length import Length
from verl_dots.data.rows import count_rows
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

TRAIN, VALIDATION = "data.train_files", "data.val_files"
LIMITS = {TRAIN: "data.train_max_samples", VALIDATION: "data.val_max_samples"}


@dataclass(frozen=True)
class Sample:
    """What verl takes of the rows of a key's files.

    Attributes:
        rows: in all files.
        size: how many of them are taken.
        places: of those, counted through all files; None where all are taken, or nobody knows which.
    """

    rows: int
    size: int
    places: frozenset[int] | None = None

    @property
    def unknown(self) -> bool:
        """Whether it is drawn without a seed, so that nobody knows which rows it has."""
        return self.places is None and self.size < self.rows


def sample_of(config: DictConfig, key: str, files: Sequence[str], train: bool = True) -> Sample:
    """The sample as `verl.utils.dataset.rl_dataset.RLHFDataset` takes it.

    Args:
        key: of `LIMITS`.
        train: verl reads the files as one; else each is read alone, and whole.

    Raises:
        QuestionError: a file cannot be read.
    """
    rows = sum(map(count_rows, files))
    limit = config.data.get(LIMITS[key].removeprefix("data.")) or -1
    if not train or not 0 < limit < rows:
        return Sample(rows, rows)
    if not config.data.get("shuffle"):
        return Sample(rows, limit, frozenset(range(limit)))
    if (seed := config.data.get("seed")) is None:
        return Sample(rows, limit)
    return Sample(rows, limit, frozenset(np.random.default_rng(seed).choice(rows, limit, replace=False).tolist()))


def until_enough(sample: Sample, needed: int, length: Length, most: int) -> Length:
    """The same lengths until enough prompts were short; 0 for the others, which need not be counted.

    Enough are `needed` in a sample that is known. In any other, what it leaves out may all be short.

    Args:
        length: asked for the rows of the sample alone, where it is known.
        most: tokens of a prompt that is short.
    """
    enough = needed + (sample.rows - sample.size if sample.unknown else 0)
    fitting = 0

    def counted(messages: Sequence[Mapping[str, str]]) -> int:
        nonlocal fitting
        if fitting >= enough:
            return 0
        tokens = length(messages)
        fitting += tokens <= most
        return tokens

    return counted


def require_rows(
    config: DictConfig, key: str, sample: Sample, reports: Sequence[FileReport], left_out: Sequence[str], needed: int
) -> None:
    """Refuse fewer rows than are needed: verl leaves out prompts that are too long, and a batch that is not full.

    Args:
        reports: lengths are of the sample's rows alone, where it is known.
        left_out: kinds of problems by which verl leaves a row out.

    Raises:
        ConfigError: how many rows are used, and why not more. Of a sample that nobody knows, the fewest that may be.
    """
    long = sum(report.count(left_out) for report in reports)
    left, most = max(0, sample.size - long), config.data.max_prompt_length
    if left >= needed:
        if long and key != TRAIN:
            logger.warning(
                "%s: %d of %d questions have prompts of more than data.max_prompt_length=%d tokens and are left out: "
                "the accuracy is of the others", key, long, sample.rows if sample.unknown else sample.size, most,
            )  # fmt: skip
        return
    why = f", {LIMITS[key]}={sample.size}" if sample.size < sample.rows else ""
    if long:
        why += f", and data.filter_overlong_prompts=True leaves out {long} prompts of more than "
        why += f"data.max_prompt_length={most} tokens"
        if any(config.data.get(name) for name in ("tool_config_path", "function_tool_path")):
            why += ", in which the schemas of the tools are counted"
        if sample.unknown:
            why += ", which a sample drawn with data.seed=null may all hold"
        elif sample.places is not None:
            why += " of this sample"
    batch = f", less than data.train_batch_size={needed}: verl would train on none" if needed > 1 else ""
    fewest = "as few as " if long and sample.unknown else ""
    words = f"{key}: {fewest}{left} of {sample.rows} rows are used{batch}{why}. Add data, or lower what asks for more"
    raise ConfigError(words, key=key, reason="size")
