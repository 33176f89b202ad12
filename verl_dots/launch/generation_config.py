"""The config of a command that generates and trains nothing, checked."""

import os
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from verl_dots.generation.standalone import STANDALONE
from verl_dots.launch.compose import compose
from verl_dots.launch.machine_checks import check_machine
from verl_dots.launch.start import validate
from verl_dots.launch.verl_values import resolving
from verl_dots.processes.environment import prepare_environment


def files_and_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(files, overrides KEY=VALUE) of words of a command line that may be either: what is there is a file, and so is
    what has a folder before its first "="."""
    overrides = [
        word for word in words if "/" not in word.partition("=")[0] and "=" in word and not os.path.exists(word)
    ]
    return [word for word in words if word not in overrides], overrides


def generation_config(model: str, files: Sequence[str], overrides: Sequence[str], data: bool) -> DictConfig:
    """The config for rollout servers that stand alone.

    Args:
        model: folder or hub id.
        files: of the questions; they are `data.val_files`.
        overrides: KEY=VALUE, over those of servers that stand alone.
        data: check every row of the files, too, see `validate`.

    Raises:
        ConfigError: an override, the model or the machine cannot work, or a file cannot be read.
    """
    overrides = [*STANDALONE, *overrides]
    # Before verl is imported, which hydra does to find its config.
    prepare_environment(cpu=any(word in ("device=cpu", "trainer.device=cpu") for word in overrides))
    with resolving():
        config = compose(overrides)
        OmegaConf.update(config, "actor_rollout_ref.model.path", model)
        OmegaConf.update(config, "data.train_files", [])
        OmegaConf.update(config, "data.val_files", list(files))
        validate(config, data=data, train=False)
        check_machine(config, train=False)
    return config
