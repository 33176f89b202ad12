"""The settings of runs (`config.yaml`), and in which of them runs differ that are compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from verl_dots.settings import flat

Settings = Mapping[str, Any]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What says who a run is, where it writes and what it prints; no figure depends on it.
IDENTITY = (
    "trainer.default_local_dir", "trainer.default_hdfs_dir", "trainer.experiment_name", "trainer.project_name",
    "trainer.logger", "trainer.log_val_generations", "trainer.rollout_data_dir", "trainer.validation_data_dir",
    "trainer.resume_", "trainer.max_", "trainer.del_local_ckpt_after_load", "trainer.ray_wait_", "dots.poll_seconds",
    "dots.patience_seconds",
    "dots.difficulty.cache", "global_profiler.", "transfer_queue.", "skip.", "ray_kwargs.timeline_json_file", "hydra.",
    "ray_kwargs.ray_init.runtime_env", "ray_kwargs.ray_init.object_store_memory",
)  # fmt: skip
IDENTITY_ENDS = ("seed", "experiment_name", "project_name")
# In the order in which a reader wants to know of them; others follow.
FIRST = (
    "dots.preset", "actor_rollout_ref.model.path", "data.train_files", "data.val_files", "data.", "trainer.total_",
    "actor_rollout_ref.rollout.n", "actor_rollout_ref.rollout.val_kwargs", "actor_rollout_ref.actor.optim",
    "actor_rollout_ref.actor.ppo_mini", "reward.", "trainer.n", "trainer.", "version of", "dots.",
)  # fmt: skip
# verl's copies of other keys, and parts that these trainers do not have.
COPIES = ("distillation.", "reward.reward_model.rollout.", "reward_model.rollout.", "actor_rollout_ref.ref.rollout_n",
          "actor_rollout_ref.actor.rollout_n", "critic.rollout_n")  # fmt: skip
# In these methods differ by what they are.
BY_METHOD = (
    "dots.", "algorithm.", "critic.", "data.gen_batch_size",  # 1 where a method asks for single questions
    "actor_rollout_ref.ref.", "actor_rollout_ref.actor.policy_loss.",
    "actor_rollout_ref.actor.loss_", "actor_rollout_ref.actor.clip_ratio", "actor_rollout_ref.actor.use_kl_loss",
    "actor_rollout_ref.actor.kl_loss", "actor_rollout_ref.actor.entropy_coeff", "actor_rollout_ref.actor.tau_",
)  # fmt: skip
# In the form of the loss a method and its baseline should be the same, whoever sets it.
LOSS_FORM = ("algorithm.norm_adv_by_std_in_grpo", "actor_rollout_ref.actor.loss_agg_mode")
ABSENT = "–"
_MOST_CHARACTERS = 60


def read_settings(file: Path) -> tuple[Settings | None, tuple[str, ...]]:
    """Return the settings by their dotted keys, None where they cannot be read, and notes that say so."""
    try:
        config = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
    except FileNotFoundError:
        return None, ()
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        return None, (f"{file} cannot be read ({_one_line(error)}): its settings were not compared.",)
    if not isinstance(config, dict):
        return None, (f"{file} holds no settings: nothing of it was compared.",)
    return flat(config), ()


def planned_steps(settings: Settings | None) -> int | None:
    """Return how many steps a run is meant to have: as set, or as verl computed it from the epochs; None if unknown."""
    for key in ("trainer.total_training_steps", "actor_rollout_ref.actor.optim.total_training_steps"):
        value = (settings or {}).get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
            return int(value)
    return None


def differences(settings: Sequence[Settings]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return [(keys, value in each of `settings`)] of what is not the same in all; keys with equal values are together.

    What readers want to know of is first (`FIRST`). Keys that say who a run is (`IDENTITY`), seeds and copies of other
    keys are left aside.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for key in dict.fromkeys(key for one in settings for key in one):
        values = tuple(_text(one[key]) if key in one else ABSENT for one in settings)
        if len(set(values)) > 1 and not key.startswith(IDENTITY + COPIES) and not key.endswith(IDENTITY_ENDS):
            groups.setdefault(values, []).append(key)
    found = [(tuple(sorted(keys, key=_place)), values) for values, keys in groups.items()]
    return sorted(found, key=lambda item: _place(item[0][0]))


def split_by_method(keys: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys in which methods should be the same, and those in which they differ by what they are."""
    own = tuple(key for key in keys if key.startswith(BY_METHOD) and key not in LOSS_FORM)
    return tuple(key for key in keys if key not in own), own


def shortened(text: str) -> str:
    """Cut a value for a sentence or a table; the end of a path says more than its beginning."""
    return text if len(text) <= _MOST_CHARACTERS else "..." + text[3 - _MOST_CHARACTERS :]


def _place(key: str) -> int:
    return next((place for place, start in enumerate(FIRST) if key.startswith(start)), len(FIRST))


def _text(value: Any) -> str:
    """One text for equal values: [x] is x, 1 is 1.0."""
    if isinstance(value, list):
        return _text(value[0]) if len(value) == 1 else ", ".join(map(_text, value))
    try:
        return f"{float(value):.12g}" if value is not None and not isinstance(value, bool) else str(value)
    except (TypeError, ValueError):
        return str(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
