"""The command line of `python -m verl_dots.evaluate`, and the config and settings that it comes to."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from verl_dots.evaluation.checkpoints import Checkpoint
from verl_dots.evaluation.data_sets import DataSet
from verl_dots.generation.conditions import conditions_of, digest, scorers
from verl_dots.generation.generation import Sampling
from verl_dots.launch.combinations import check_room
from verl_dots.launch.generation_config import files_and_overrides, generation_config
from verl_dots.settings import ConfigError


def parse(arguments: Sequence[str] | None, description: str) -> argparse.Namespace:
    """The command line; `data` holds the files, `overrides` what is KEY=VALUE."""
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.evaluate",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="model folder or hub id, global_step_N, or run folder")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="overrides of the config")
    parser.add_argument("--data", nargs="+", required=True, metavar="FILE", help="verl-schema files, a data set each")
    parser.add_argument("--rollouts", type=int, metavar="K", help="responses to a question (default: val_kwargs.n, 1)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N questions of each data set")
    parser.add_argument("--out", type=Path, help="folder for the results (default: evaluation/ in CHECKPOINT's folder)")
    options = parser.parse_intermixed_args(arguments)
    options.data, overrides = files_and_overrides(options.data)
    options.overrides = overrides + options.words
    return options


def configure(options: argparse.Namespace, checkpoint: Checkpoint) -> DictConfig:
    """The config for the options and overrides, checked, its data too; `val_kwargs.n` holds the number of rollouts.

    Raises:
        ConfigError: an option, an override, the data, or what the config makes of them is wrong.
    """
    if stray := [word for word in options.overrides if "=" not in word]:
        text = f"{', '.join(stray)}: neither KEY=VALUE nor an option; data files follow --data"
        raise ConfigError(text, key=stray[0], reason="unknown")
    if not options.data:
        text = f"--data names no file, only {', '.join(options.overrides)}; name a data file behind it"
        raise ConfigError(text, key="--data", reason="missing")
    for option, value in (("--rollouts", options.rollouts), ("--limit", options.limit)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} {value}: must be at least 1", key=option, reason="range")
    config = generation_config(checkpoint.model, options.data, options.overrides, data=True)
    if options.rollouts is not None:
        config.actor_rollout_ref.rollout.val_kwargs.n = options.rollouts
    check_sampling(config.actor_rollout_ref.rollout.val_kwargs)
    check_room(config.actor_rollout_ref.rollout)
    return config


def settings_for(config: DictConfig, data_sets: Sequence[DataSet]) -> dict[str, Any]:
    """Everything that decides what is generated, as plain values: only generations of equal settings go together."""
    val = config.actor_rollout_ref.rollout.val_kwargs
    return conditions_of(config, int(val.n), Sampling.of(val)) | {
        "source": "evaluation",
        "data_sets": {data_set.label: digest(data_set.questions) for data_set in data_sets},
        "scorers": {data_set.label: scorers(data_set.questions) for data_set in data_sets},
    }


def check_sampling(val: DictConfig) -> None:
    """Raise ConfigError unless `actor_rollout_ref.rollout.val_kwargs` asks for something that can be sampled."""
    if val.temperature == 0 and val.n > 1:
        raise ConfigError(
            f"all {val.n} responses to a question are the same at temperature 0; set "
            "actor_rollout_ref.rollout.val_kwargs.temperature (0.6 with val_kwargs.top_p=0.95, say), or --rollouts 1",
            key="actor_rollout_ref.rollout.val_kwargs.temperature",
            reason="excluded",
        )
