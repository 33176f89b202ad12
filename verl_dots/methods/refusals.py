"""What the methods' refusals share: settings of verl that must keep a value, and what several methods need of a run.

Each method's own are in its `checks.py`: `refuse_STAGE(config, dots)` returns at once where the stage is off, and
raises ConfigError for what could only fail, or mislead, after the start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from omegaconf import DictConfig, OmegaConf

from verl_dots.config import DotsConfig
from verl_dots.data.file_lists import file_list
from verl_dots.data.rows import read_rows, schema_of
from verl_dots.difficulty.static import static_difficulties
from verl_dots.methods.replay.settings import GRPO_RR
from verl_dots.settings import ConfigError, Reason


class Fixed(NamedTuple):
    """A setting that has to keep a value where a method is on.

    Attributes:
        key: of the setting.
        allowed: the values that work; None where null or an absent key does.
        why: the others do not.
    """

    key: str
    allowed: tuple[Any, ...]
    why: str


NOTHING = (None, [], "", {})  # in a column of images
LOSS_MODE = "actor_rollout_ref.actor.policy_loss.loss_mode"
SYNCHRONOUS, ASYNCHRONOUS = ("dots", "sync"), ("colocate_async",)  # verl's modes that have this project's step
TRAINER = Fixed(
    "trainer.v1.trainer_mode", (*SYNCHRONOUS, *ASYNCHRONOUS), "it is part of a step that no other trainer has"
)
# Of everything that rolls out questions one by one, or in another order than verl's.
CHOSEN_QUESTIONS = (
    TRAINER,
    Fixed("data.custom_cls.path", (None,), "questions are read from the rows of verl's own data set"),
    Fixed(
        "algorithm.filter_groups.enable",
        (None, False),
        "verl would refill from its own order of the data, and dots.refill.enable=True does so from the run's source",
    ),
    Fixed(
        "trainer.v1.sampler.sync_refill_failed_groups",
        (None, False),
        "verl would refill from its own order of the data",
    ),
    Fixed("skip.rollout_tq.enable", (None, False), "rollouts of an earlier run are of other questions"),
)
OWN_AGENT_LOOP = Fixed(
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
    ("verl_dots.bridge.agents.agent_loop.SeededAgentLoopManager",),
    "another agent loop manager knows no reference rollouts and no temperature of a step",
)
NO_DISTILLATION = Fixed("distillation.enabled", (None, False), "verl's distillation has a loss of its own")
LOG_PROBS = Fixed(
    "actor_rollout_ref.rollout.calculate_log_probs",
    (True,),
    "the log-probs of the behaviour policy come from the engine",
)
# Of everything that takes the engine's log-probs for those of the policy that sampled.
ENGINE = (
    LOG_PROBS,
    Fixed("actor_rollout_ref.rollout.top_p", (1, 1.0), "its log-probs may be of the tokens within top_p alone"),
    Fixed("actor_rollout_ref.rollout.top_k", (-1, 0), "its log-probs may be of the tokens within top_k alone"),
    Fixed(
        "actor_rollout_ref.rollout.logprobs_mode",
        ("processed_logprobs",),
        "its log-probs would be those before the temperature",
    ),
)
# Of everything that keeps rollouts for later steps.
KEPT = (
    LOG_PROBS,
    Fixed("actor_rollout_ref.rollout.enable_rollout_routing_replay", (None, False), "experts' routes are not kept"),
)


def keeps_going(config: DictConfig) -> bool:
    """Whether rollouts go on while a step trains, so that it may train on those of an older policy."""
    return config.trainer.v1.trainer_mode in ASYNCHRONOUS


def refuse_asynchronous(config: DictConfig, what: str, why: str) -> None:
    """Raise ConfigError for what must have all rollouts of a step in it."""
    require_fixed(config, what, Fixed("trainer.v1.trainer_mode", SYNCHRONOUS, why))


def require_fixed(config: DictConfig, what: str, *fixed: Fixed) -> None:
    """Raise ConfigError for the first of some settings that has another value than `what` allows."""
    for key, allowed, why in fixed:
        found = OmegaConf.select(config, key)
        if found not in allowed:
            known = " or ".join(str(value) for value in allowed if value is not None) or "null"
            raise excluded(key, found, what, f"{why}; set it to {known}")


def excluded(key: str, value: Any, what: str, why: str) -> ConfigError:
    """The refusal of a setting that is right alone and wrong together with `what`."""
    return ConfigError(f"{key}={value} does not go with {what}: {why}", key=key, reason="excluded")


def refuse_kept(config: DictConfig, what: str) -> None:
    """Raise ConfigError unless the rollouts of a run can be kept: they must be text, with a ratio."""
    require_fixed(config, what, *KEPT)
    refuse_media(config, f"{what} keeps text alone")
    if config.actor_rollout_ref.rollout.temperature == 0:
        why = "what is sampled greedily has no ratio; set it above 0"
        raise excluded("actor_rollout_ref.rollout.temperature", 0, what, why)


def refuse_media(config: DictConfig, why: str) -> None:
    """Raise ConfigError for questions with images, videos or audio; a column without any is none."""
    keys = {config.data.get(f"{kind}_key", f"{kind}s") for kind in ("image", "video", "audio")}
    for file in train_files(config):
        with refused_as("data.train_files", "file"):
            there = sorted(keys & set(schema_of(file).names))
            media = [column for column in there if any(row[column] not in NOTHING for row in read_rows(file, [column]))]
        if media:
            raise ConfigError(
                f"data.train_files: {file} has {media}, and {why}; turn it off",
                key="data.train_files",
                reason="excluded",
            )


def refuse_uneven_mini_batches(config: DictConfig, what: str) -> None:
    """Raise ConfigError unless a batch of questions is cut into mini-batches of equal size."""
    batch_size, mini_batch = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    if batch_size % mini_batch:
        raise ConfigError(
            f"data.train_batch_size={batch_size} is no multiple of actor_rollout_ref.actor.ppo_mini_batch_size="
            f"{mini_batch}: with {what} a batch is cut into mini-batches of equal size",
            key="data.train_batch_size",
            reason="size",
        )


def refuse_without_groups_to_judge(config: DictConfig, dots: DotsConfig, what: str) -> None:
    """Raise ConfigError unless groups can be judged while the engine is awake, and the step can do without some."""
    require_fixed(config, what, *CHOSEN_QUESTIONS)
    rollout, rewards = config.actor_rollout_ref.rollout, config.reward.reward_model
    if rollout.n == 1:
        why = "one rollout tells no success rate; set it to 2 or more"
        raise excluded("actor_rollout_ref.rollout.n", 1, what, why)
    if dots.budget.enable and dots.budget.least == 1:
        why = "one rollout tells no success rate; set it to 2 or more"
        raise excluded("dots.budget.least", 1, what, why)
    if rewards.enable and not rewards.enable_resource_pool:
        why = "it gives rewards once the engine sleeps; set reward.reward_model.enable_resource_pool=True"
        raise excluded("reward.reward_model.enable", True, what, why)
    refuse_uneven_mini_batches(config, what)
    if dots.preemptive.off_policy(config.data.train_batch_size):
        why = (
            "the rollouts of several steps are sampled at once, and each would have to wait for the last group of all; "
            "turn one of them off"
        )
        raise excluded("dots.preemptive.enable", True, what, why)


def passes_by(config: DictConfig, dots: DotsConfig) -> str:
    """The setting by which no forward pass computes the log-probs and the entropy of a step's own rollouts, or ""."""
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if (config.algorithm.get("rollout_correction") or {}).get("bypass_mode"):
        return "rollout_correction.bypass_mode=True"
    if mode == GRPO_RR and dots.loss.behaviour == "engine":
        return f"loss_mode={mode} with dots.loss.behaviour=engine"
    return ""


def train_files(config: DictConfig) -> list[str]:
    """The training files of the config."""
    return file_list(config.data.train_files)


def numbers_in_data(config: DictConfig, field: str, key: str) -> np.ndarray:
    """[N] a number of each row of the training files, in the field that the setting `key` names.

    Raises:
        ConfigError: there is no such column, or a row without a finite number.
    """
    column = field.split(".")[0]
    found = []
    for file in train_files(config):
        with refused_as("data.train_files", "file"):
            if column not in schema_of(file).names:
                raise ConfigError(f"{key}={field}: {file} has no column {column!r}", key=key, reason="data")
            rows = list(read_rows(file, [column]))
        with refused_as(key, "data"):
            found.append(static_difficulties(rows, field, key, lambda place, file=file: f"{file} row {place}"))
    return np.concatenate(found)


@contextmanager
def refused_as(key: str, reason: Reason) -> Iterator[None]:
    """A ValueError of what is read or made for a setting, as the refusal of that setting."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, ConfigError) and error.key:
            raise
        text = str(error) if str(error).startswith(key) else f"{key}: {error}"
        raise ConfigError(text, key=key, reason=reason) from error
