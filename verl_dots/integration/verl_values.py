"""The values of verl's config that a run depends on: of which type and in which range, in one table.

verl finds most wrong ones late, in a worker, or not at all.
"""

from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.errors import HydraException
from hydra.utils import get_class
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_dots.integration.value_rules import (
    BETAS,
    COUNT,
    FINITE,
    FLAG,
    NAME,
    NATURAL,
    SEED,
    Rule,
    above,
    at_least,
    between,
    choice,
    is_whole,
    optional,
    whole,
)
from verl_dots.settings import ConfigError

SHARE = between(0, 1)
LIMIT = whole(1, (-1,), "for all")
EVERY = whole(1, (-1, 0), "for never")
SAMPLING: dict[str, Rule] = {
    "temperature": at_least(0),
    "top_p": between(0, 1, open_low=True),
    "top_k": whole(1, (-1, 0), "for all tokens"),
    "n": COUNT,
    "do_sample": FLAG,
    "repetition_penalty": above(0),
}
OPTIMIZER: dict[str, Rule] = {
    "lr": above(0),
    "lr_warmup_steps_ratio": SHARE,
    "lr_warmup_steps": optional(whole(0, (-1,), "to go by the ratio")),
    "weight_decay": at_least(0),
    "betas": BETAS,
    "clip_grad": above(0),
    "min_lr_ratio": optional(SHARE),
    "num_cycles": above(0),
    "lr_scheduler_type": choice("constant", "cosine"),
    "warmup_style": optional(choice("constant", "cosine")),
}
BATCHES: dict[str, Rule] = {
    "ppo_mini_batch_size": COUNT,
    "ppo_micro_batch_size": optional(COUNT),
    "ppo_micro_batch_size_per_gpu": optional(COUNT),
    "ppo_max_token_len_per_gpu": COUNT,
    "use_dynamic_bsz": FLAG,
    "ppo_epochs": COUNT,
    "shuffle": FLAG,
    "data_loader_seed": optional(SEED),
    "ulysses_sequence_parallel_size": COUNT,
    "loss_scale_factor": optional(above(0)),
}
LOG_PROB: dict[str, Rule] = {
    "log_prob_micro_batch_size": optional(COUNT),
    "log_prob_micro_batch_size_per_gpu": optional(COUNT),
    "log_prob_max_token_len_per_gpu": COUNT,
    "log_prob_use_dynamic_bsz": FLAG,
}
SHARDS: dict[str, Rule] = {
    "fsdp_size": whole(1, (-1,), "for all devices"),
    "ulysses_sequence_parallel_size": COUNT,
}
MODEL: dict[str, Rule] = {
    "path": NAME,
    "lora_rank": NATURAL,
    "lora_alpha": above(0),
    "use_remove_padding": FLAG,
    "enable_gradient_checkpointing": FLAG,
}
PARTS: dict[str, dict[str, Rule]] = {
    "data": {
        "train_batch_size": COUNT,
        "gen_batch_size": optional(COUNT),
        "val_batch_size": optional(COUNT),
        "max_prompt_length": COUNT,
        "max_response_length": COUNT,
        "train_max_samples": LIMIT,
        "val_max_samples": LIMIT,
        "prompt_key": NAME,
        "reward_fn_key": NAME,
        "truncation": choice("error", "left", "right", "middle"),
        "shuffle": FLAG,
        "validation_shuffle": FLAG,
        "filter_overlong_prompts": FLAG,
        "filter_overlong_prompts_workers": COUNT,
        "dataloader_num_workers": NATURAL,
        "return_raw_chat": FLAG,
        "trust_remote_code": FLAG,
        "seed": optional(SEED),
    },
    "trainer": {
        "total_epochs": COUNT,
        "total_training_steps": optional(COUNT),
        "nnodes": COUNT,
        "n_gpus_per_node": COUNT,
        "save_freq": EVERY,
        "test_freq": EVERY,
        "log_val_generations": NATURAL,
        "critic_warmup": NATURAL,
        "max_actor_ckpt_to_keep": optional(COUNT),
        "max_critic_ckpt_to_keep": optional(COUNT),
        "esi_redundant_time": at_least(0),
        "ray_wait_register_center_timeout": COUNT,
        "balance_batch": FLAG,
        "val_before_train": FLAG,
        "val_only": FLAG,
        "del_local_ckpt_after_load": FLAG,
        "resume_mode": choice("auto", "disable", "resume_path"),
        "project_name": NAME,
        "experiment_name": NAME,
        "default_local_dir": NAME,
        "rollout_data_dir": optional(NAME),
        "validation_data_dir": optional(NAME),
        "device": choice("cuda", "cpu", "npu"),
    },
    "actor_rollout_ref.model": MODEL,
    "actor_rollout_ref.actor": BATCHES
    | {
        "clip_ratio": above(0),
        "clip_ratio_low": above(0),
        "clip_ratio_high": above(0),
        "clip_ratio_c": above(1),
        "entropy_coeff": FINITE,
        "kl_loss_coef": at_least(0),
        "tau_pos": above(0),
        "tau_neg": above(0),
        "use_kl_loss": FLAG,
    },
    "actor_rollout_ref.actor.optim": OPTIMIZER,
    "actor_rollout_ref.actor.fsdp_config": SHARDS,
    "actor_rollout_ref.actor.policy_loss": {
        "clip_cov_ratio": SHARE,
        "kl_cov_ratio": SHARE,
        "clip_cov_lb": FINITE,
        "clip_cov_ub": FINITE,
        "ppo_kl_coef": at_least(0),
        "dro_beta": optional(above(0)),
    },
    "actor_rollout_ref.ref": LOG_PROB,
    "actor_rollout_ref.ref.fsdp_config": SHARDS,
    "actor_rollout_ref.rollout": SAMPLING
    | LOG_PROB
    | {
        "seed": SEED,
        "prompt_length": COUNT,
        "response_length": COUNT,
        "gpu_memory_utilization": between(0, 1, open_low=True),
        "tensor_model_parallel_size": COUNT,
        "data_parallel_size": COUNT,
        "expert_parallel_size": COUNT,
        "pipeline_model_parallel_size": COUNT,
        "max_num_batched_tokens": optional(COUNT),
        "max_model_len": optional(COUNT),
        "max_num_seqs": COUNT,
        "over_sample_rate": between(0, 1, open_high=True),
        "nnodes": NATURAL,
        "n_gpus_per_node": COUNT,
        "calculate_log_probs": FLAG,
        "full_determinism": FLAG,
        "mode": choice("async"),
        "load_format": NAME,
    },
    "actor_rollout_ref.rollout.val_kwargs": SAMPLING,
    "actor_rollout_ref.rollout.agent": {"num_workers": COUNT, "default_agent_loop": NAME},
    "actor_rollout_ref.rollout.checkpoint_engine": {"update_weights_bucket_megabytes": COUNT},
    "actor_rollout_ref.rollout.prometheus": {"port": whole(1)},
    "actor_rollout_ref.rollout.multi_turn": {
        "max_assistant_turns": optional(COUNT),
        "max_user_turns": optional(COUNT),
        "max_parallel_calls": COUNT,
        "max_tool_response_length": COUNT,
    },
    "critic": BATCHES | {"cliprange_value": above(0), "forward_max_token_len_per_gpu": COUNT, "enable": optional(FLAG)},
    "critic.optim": OPTIMIZER,
    "critic.fsdp": SHARDS,
    "reward": {"num_workers": COUNT},
    "reward.reward_model": {"enable": FLAG, "enable_resource_pool": FLAG},
    "algorithm": {
        "gamma": SHARE,
        "lam": SHARE,
        "norm_adv_by_std_in_grpo": FLAG,
        "use_kl_in_reward": FLAG,
        "use_pf_ppo": FLAG,
    },
    "algorithm.kl_ctrl": {
        "type": choice("fixed", "adaptive"),
        "kl_coef": at_least(0),
        "horizon": COUNT,
        "target_kl": above(0),
    },
    "algorithm.filter_groups": {
        "enable": optional(FLAG),
        "max_num_gen_batches": NATURAL,
        "max_inflight_gen_batches": COUNT,
    },
    "algorithm.rollout_correction": {"bypass_mode": FLAG, "rollout_is_batch_normalize": FLAG},
    "trainer.v1.sampler": {
        "max_off_policy_threshold": optional(NATURAL),
        "max_off_policy_strategy": choice("drop", "wait"),
    },
    "transfer_queue.backend.SimpleStorage": {"total_storage_size": COUNT, "num_data_storage_units": COUNT},
    "ray_kwargs.ray_init": {
        "num_cpus": optional(COUNT),
        "num_gpus": optional(NATURAL),
        "object_store_memory": optional(COUNT),
    },
}
TABLE: dict[str, Rule] = {f"{part}.{name}": rule for part, rules in PARTS.items() for name, rule in rules.items()}
# Kinds of verl's own typed groups, with the words for them.
KINDS: dict[type, Rule] = {
    bool: FLAG,
    int: Rule("must be a whole number", is_whole),
    float: FINITE,
    str: Rule("must be a text", lambda value: isinstance(value, str)),
}
ABSENT = object()


def check_values(config: DictConfig) -> None:
    """Refuse a value that is of another type or range than the table, or than verl's typed group, allows.

    Raises:
        ConfigError: the key, its value and what it must be.
    """
    try:
        for key, rule in TABLE.items():
            value = OmegaConf.select(config, key, default=ABSENT)
            if value is not ABSENT and not rule.holds(value):
                raise ConfigError(f"{key}={shown(value)}: {rule.words}")
        _check_types(config, "")
    except OmegaConfBaseException as error:
        raise ConfigError(f"the config cannot be resolved: {str(error).splitlines()[0]}") from error


def shown(value: Any) -> str:
    """A value as a message shows it: texts in quotes, the others as they are written."""
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value)
    return repr(value) if isinstance(value, str) else "null" if value is None else str(value)


def _check_types(node: DictConfig, prefix: str) -> None:
    """Values of the groups that verl makes its dataclasses of (_target_), against the types of their fields."""
    hints = _hints(node)
    for name in node:
        key, child = f"{prefix}{name}", node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_interpolation():
            _check_types(child, f"{key}.")
            continue
        rule = None if key in TABLE else _rule_of(hints.get(name))
        if rule is None or OmegaConf.is_missing(node, name):
            continue
        value = node[name]
        if not isinstance(value, DictConfig) and not rule.holds(value):
            raise ConfigError(f"{key}={shown(value)}: {rule.words}")


def _hints(node: DictConfig) -> dict[str, Any]:
    target = node.get("_target_")
    if not isinstance(target, str):
        return {}
    try:
        found = get_class(target)
    except (HydraException, ImportError, ValueError) as error:
        raise ConfigError(f"_target_={target}: verl's config names a class that cannot be imported: {error}") from error
    return get_type_hints(found) if is_dataclass(found) else {}


def _rule_of(hint: Any) -> Rule | None:
    """The rule of a field's type; None for types that are no simple ones."""
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return optional(KINDS[kinds[0]]) if len(kinds) == 1 and kinds[0] in KINDS else None
    # verl's yaml has null in fields that are not optional by their type.
    return optional(KINDS[hint]) if hint in KINDS else None
