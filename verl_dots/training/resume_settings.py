"""Which settings may differ between a checkpoint and the run that resumes from it."""

import re
from collections.abc import Mapping
from typing import Any

from verl_dots.secrets import is_secret
from verl_dots.settings import flat

ABSENT = "(not set)"
# A resume with other values of these is another run. Everything else is logged.
DECISIVE = tuple(map(re.compile, (
    r"(.+[._])?seed",
    r"dots\..+",
    r"algorithm\..+",
    r"data\.(train_files|train_batch_size|train_max_samples|max_prompt_length|max_response_length|shuffle)",
    r"data\.(filter_overlong_prompts|truncation|prompt_key|reward_fn_key|return_full_prompt|tool_config_path)",
    r"data\.custom_cls\..+",
    r"actor_rollout_ref\.actor\.(policy_loss|optim)\..+",
    r"actor_rollout_ref\.actor\.(clip_ratio\w*|tau_pos|tau_neg|loss_agg_mode|loss_scale_factor|entropy_coeff)",
    r"actor_rollout_ref\.actor\.(use_kl_loss|kl_loss_\w+|ppo_epochs|ppo_mini_batch_size|shuffle|grad_clip)",
    r"actor_rollout_ref\.actor\.(freeze_vision_tower|fsdp_config\.model_dtype)",
    r"actor_rollout_ref\.model\.(path|tokenizer_path|hf_config_path|custom_chat_template)",
    r"actor_rollout_ref\.model\.(lora_\w+|lora\..+|target_modules|exclude_modules)",
    r"actor_rollout_ref\.rollout\.(n|temperature|top_k|top_p|do_sample|ignore_eos|repetition_penalty)",
    r"actor_rollout_ref\.rollout\.(multi_turn\..+|agent\.(default_agent_loop|agent_loop_manager_class))",
    r"critic\.(optim\..+|cliprange_value|ppo_epochs|ppo_mini_batch_size|shuffle|grad_clip)",
    r"critic\.model\.(path|hf_config_path|lora_\w+)",
    r"reward\.(custom_reward_function|reward_manager)\..+",
    r"reward\.reward_model\.(enable|model_path)",
    r"distillation\.(enabled|distillation_loss\..+)",
    r"trainer\.critic_warmup",
)))  # fmt: skip
# Of those, what decides only how fast a run is, how long, or what it is called.
FREE = tuple(map(re.compile, (
    r".*\._target_",
    r"dots\.(preset|poll_seconds|patience_seconds|reward_seconds|reward_memory_gib|trust_checkpoint|max_failed_share|console)",
    r"dots\.difficulty\.(cache|device|batch_tokens)",
    r".*\.optim\.total_training_steps",
    r".*val_kwargs\..*",
)))  # fmt: skip
# Groups of any names, which decide as well. Each is one value: a name that is not given is another value of it.
OPEN = (
    "data.apply_chat_template_kwargs", "data.mm_processor_kwargs", "data.sampler",
    "actor_rollout_ref.model.override_config", "critic.model.override_config",
    "actor_rollout_ref.actor.optim.override_optimizer_config", "critic.optim.override_optimizer_config",
    "reward.custom_reward_function.reward_kwargs", "reward.reward_kwargs",
    "distillation.teacher_models",
)  # fmt: skip
# Of what they hold, what changes no training.
UNREAD = ("_target_", "attn_implementation", "math_workers")
# verl and the start of a run write these themselves.
UNTOLD = tuple(map(re.compile, (r"transfer_queue\..+", r"ray_kwargs\..+", r"hydra\..+", r".*\._target_")))
# Groups that do nothing where a switch is off; each other group of dots has its own, dots.GROUP.enable.
SWITCHED = {"dots.difficulty": "dots.selection.enable", "distillation": "distillation.enabled"}
# Values that earlier versions wrote, and what they are now.
MOVED = {
    f"verl_dots.{room}.agent_loop.SeededAgentLoopManager": "verl_dots.bridge.agents.agent_loop.SeededAgentLoopManager"
    for room in ("integration", "bridge")
}


def leaves(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values by their dotted names, as this version calls them; lists are values, and so is each group of `OPEN`."""
    within = tuple(f"{name}." for name in OPEN)
    found = {key: value for key, value in flat(settings).items() if not key.startswith(within)}
    found = {key: MOVED.get(value, value) if isinstance(value, str) else value for key, value in found.items()}
    return found | {name: _open(settings, name) for name in OPEN}


def _open(settings: Mapping[str, Any], name: str) -> Any:
    """What a group of `OPEN` holds that decides; {} where it is not there. Secrets are not compared, see `decisive`."""
    group: Any = settings
    for part in name.split("."):
        group = group.get(part) if isinstance(group, Mapping) else None

    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(inner) for inner in value]
        if not isinstance(value, Mapping):
            return value
        return {key: read(inner) for key, inner in value.items() if key not in UNREAD and not is_secret(str(key))}

    return {} if group is None else read(group)


def changes(saved: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys with other values, as (saved, here), apart from those that a run writes by itself."""
    before, after = leaves(saved), leaves(here)
    found = {}
    for key in sorted(before.keys() | after.keys()):
        values = (before.get(key, ABSENT), after.get(key, ABSENT))
        if values[0] != values[1] and not _matches(UNTOLD, key):
            found[key] = values
    return found


def decisive(key: str, saved: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether a resume with another value of `key` is another run.

    A key that one side does not know decides nothing: versions add settings, which do nothing by default. Nor does one
    that is named like a secret: a checkpoint does not hold its value.
    """
    before, after = leaves(saved), leaves(here)
    if key not in before or key not in after or _matches(FREE, key) or not (key in OPEN or _matches(DECISIVE, key)):
        return False
    if is_secret(key):
        return False
    first, group = key.split(".")[0], ".".join(key.split(".")[:2])
    switch = SWITCHED.get(group) or SWITCHED.get(first) or (f"{group}.enable" if first == "dots" else None)
    return switch is None or key == switch or bool(before.get(switch, True) or after.get(switch, True))


def _matches(patterns: tuple[re.Pattern, ...], key: str) -> bool:
    return any(pattern.fullmatch(key) for pattern in patterns)
