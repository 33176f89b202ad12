"""The settings that are simulated: presets, overrides and a grid, checked as a run checks them."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from verl_dots.config import DotsConfig
from verl_dots.launch.compose import compose
from verl_dots.methods.adarft.checks import refuse_adarft
from verl_dots.methods.e3.checks import refuse_budget, refuse_temperature
from verl_dots.methods.mopps.checks import refuse_mopps
from verl_dots.methods.refusals import excluded, refused_as
from verl_dots.methods.replay.checks import refuse_loss, refuse_replay
from verl_dots.methods.selection.checks import refuse_selection
from verl_dots.methods.selection.round import rounds_batches
from verl_dots.methods.stop_early.checks import refuse_stop_early
from verl_dots.settings import ConfigError
from verl_dots.simulation.run import Setting

REFUSALS = (
    refuse_selection, refuse_adarft, refuse_mopps, refuse_budget, refuse_temperature, refuse_replay, refuse_loss,
    refuse_stop_early,
)  # fmt: skip
# Groups of settings that the simulator has no model of.
UNKNOWN = ("entropy_coefficient", "length_penalty", "preemptive", "refill", "filter")
BATCH, ROLLOUTS, TEMPERATURE = (
    "data.train_batch_size", "actor_rollout_ref.rollout.n", "actor_rollout_ref.rollout.temperature",
)  # fmt: skip
READ = (
    *(f"dots.{group}." for group in ("selection", "replay", "adarft", "mopps", "budget", "temperature", "stop_early")),
    "dots.difficulty.predictor", "dots.difficulty.half_life", BATCH, ROLLOUTS, TEMPERATURE,
)  # fmt: skip
DEFAULTS = {BATCH: 512, ROLLOUTS: 8, TEMPERATURE: 1.0}

Grid = dict[str, list[str]]


def parse_grid(given: Sequence[str]) -> Grid:
    """key -> values of arguments KEY=VALUE,VALUE...; a value may be a list in brackets.

    Raises:
        ConfigError: no values, a key that is given twice, or one that is not simulated.
    """
    grid: Grid = {}
    for text in given:
        key, separator, values = text.partition("=")
        found = _split(values)
        if not separator or not all(found):
            raise ConfigError(f"--grid {text}: must be KEY=VALUE,VALUE...", key="--grid", reason="type")
        if key in grid:
            raise ConfigError(f"--grid {key} is given twice; give all its values at once", key=key, reason="excluded")
        _require_read(key)
        _require_different(f"--grid {key}", key, found)
        grid[key] = found
    return grid


def settings_of(
    policies: Sequence[str], overrides: Sequence[str], grid: Grid, defaults: dict[str, float], questions: int
) -> list[Setting]:
    """One setting for each policy and each combination of the grid's values.

    Args:
        policies: names of presets.
        overrides: KEY=VALUE, for all of them.
        defaults: of `BATCH`, `ROLLOUTS` and `TEMPERATURE`, under every override.
        questions: of the pool.

    Raises:
        ConfigError: a preset, key or value that a run would refuse, or that the simulator has no model of.
    """
    _require_different("--policy", "--policy", policies)
    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        _require_read(key)
        if key in grid:
            text = f"{override} is also in --grid, which would win over it; leave one out"
            raise ConfigError(text, key=key, reason="excluded")
    found = []
    for policy in policies:
        first = [f"{key}={values[0]}" for key, values in grid.items()]
        given = [f"{key}={value}" for key, value in defaults.items()]
        base = compose([f"dots.preset={policy}", *given, *overrides, *first])
        for values in itertools.product(*grid.values()):
            chosen = dict(zip(grid, values, strict=True))
            dotted = OmegaConf.from_dotlist([f"{key}={value}" for key, value in chosen.items()])
            config = OmegaConf.merge(base, dotted)
            config.actor_rollout_ref.actor.ppo_mini_batch_size = config.data.train_batch_size
            # Of these nothing is simulated.
            config.actor_rollout_ref.actor.use_dynamic_bsz, config.actor_rollout_ref.rollout.name = True, "hf"
            config.data.train_files = []  # of which a run would read the columns
            found.append(_setting(config, policy, chosen, questions))
    return found


def uniform(setting: Setting) -> Setting:
    """Uniform sampling with the batches of a setting, which it is compared with."""
    return Setting("uniform", {}, DotsConfig(), setting.batch_size, setting.rollouts, setting.temperature)


def _setting(config: DictConfig, policy: str, chosen: dict[str, str], questions: int) -> Setting:
    dots = DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True))
    for group in UNKNOWN:
        if getattr(dots, group).enable:
            raise excluded(f"dots.{group}.enable", True, "the simulator", "it has no model of this; turn it off")
    if tuple(dots.reward_range) != (0.0, 1.0):
        raise excluded("dots.reward_range", list(dots.reward_range), "the simulator", "its rewards are 0 and 1")
    if dots.adarft.enable and dots.selection.enable:
        raise excluded("dots.adarft.enable", True, "dots.selection.enable=True in the simulator", "turn one off")
    if dots.mopps.enable and dots.mopps.reference:
        raise excluded("dots.mopps.reference", list(dots.mopps.reference), "the simulator", "set it to null")
    if dots.budget.enable and dots.budget.by != "reward":
        raise excluded("dots.budget.by", dots.budget.by, "the simulator", "it ranks by reward alone")
    for refuse in REFUSALS:
        refuse(config, dots)
    batch_size, rollouts = config.data.train_batch_size, config.actor_rollout_ref.rollout.n
    for key, value, least in ((BATCH, batch_size, 1), (ROLLOUTS, rollouts, 2)):
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"{key}={value}: must be a whole number of {least} or more", key=key, reason="range")
    temperature = config.actor_rollout_ref.rollout.temperature
    if not isinstance(temperature, int | float) or not 0 < temperature < math.inf:
        raise ConfigError(f"{TEMPERATURE}={temperature}: must be a number above 0", key=TEMPERATURE, reason="range")
    if batch_size > questions:
        raise ConfigError(f"{BATCH}={batch_size} is more than the {questions} questions", key=BATCH, reason="size")
    if dots.selection.enable:
        with refused_as("dots.selection.references", "size"):
            rounds_batches(dots.selection, questions, batch_size)
    ends = Counter(key.rpartition(".")[2] for key in chosen)
    short = {key: end if ends[end := key.rpartition(".")[2]] == 1 else key.removeprefix("dots.") for key in chosen}
    label = " ".join([policy, *(f"{short[key]}={value}" for key, value in chosen.items())])
    return Setting(label, {"policy": policy, **chosen}, dots, batch_size, rollouts, float(temperature))


def _require_different(option: str, key: str, values: Sequence[str]) -> None:
    """Raise ConfigError for a value that is given twice: 0.5 and 0.50 are one."""
    known: list[Any] = []
    for value in values:
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            read = value
        if any(type(read) is type(other) and read == other for other in known):
            raise ConfigError(f"{option}: {value} is given twice; give each value once", key=key, reason="excluded")
        known.append(read)


def _require_read(key: str) -> None:
    if key.startswith("dots.preset"):
        raise ConfigError("dots.preset is chosen with --policy NAME", key="dots.preset", reason="excluded")
    if not any(key.startswith(known) for known in READ) and not key.startswith(
        (*(f"dots.{group}." for group in UNKNOWN), "dots.difficulty.", "algorithm.", "actor_rollout_ref.actor.")
    ):
        near = ", ".join(READ)
        raise ConfigError(f"{key} changes nothing that is simulated; simulated are {near}", key=key, reason="unknown")


def _split(values: str) -> list[str]:
    """The values between commas that are not within brackets."""
    found, depth = [""], 0
    for letter in values:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [value.strip() for value in found]
