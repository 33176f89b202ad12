"""Whether a batch divides into mini-batches, those among the devices, and a device's part into micro-batches."""

import math

from omegaconf import DictConfig, OmegaConf

from verl_dots.methods.refusals import excluded
from verl_dots.settings import ConfigError
from verl_dots.training.parts import has_critic, has_reference

ACTOR, CRITIC = "actor_rollout_ref.actor", "critic"
ROLLOUT, REF = "actor_rollout_ref.rollout", "actor_rollout_ref.ref"
ULYSSES = "ulysses_sequence_parallel_size"
ENGINES = {ACTOR: "fsdp_config", REF: "fsdp_config", CRITIC: "fsdp"}  # the engine's settings in a group


def check_batches(config: DictConfig) -> None:
    """Refuse sizes that verl would find in a worker not to divide.

    Raises:
        ConfigError: the key, what it has to divide, and what to choose.
    """
    data, mini = config.data, config.actor_rollout_ref.actor.ppo_mini_batch_size
    batch = data.train_batch_size
    if mini > batch:
        raise _wrong(
            f"{ACTOR}.ppo_mini_batch_size",
            f"={mini} is more than data.train_batch_size={batch}: verl would fill the mini-batch up and divide the "
            f"loss by what is not there; set it to {batch} or less",
        )
    if has_critic(config):
        _check_critics_updates(config)
    if data.gen_batch_size and batch % data.gen_batch_size:
        raise _wrong(
            "data.gen_batch_size",
            f"={data.gen_batch_size} does not divide data.train_batch_size={batch}; set it to null",
        )
    if "fsdp" in str(config.actor_rollout_ref.actor.strategy):
        _check_ranks(config)
        _check_micro_batches(config)


def filled_up(config: DictConfig) -> int:
    """Questions of a batch as verl fills it up: to whole mini-batches of the actor and of the critic."""
    minis = [config.actor_rollout_ref.actor.ppo_mini_batch_size]
    whole = math.lcm(*minis, *([config.critic.ppo_mini_batch_size] if has_critic(config) else []))
    return math.ceil(config.data.train_batch_size / whole) * whole


def _check_critics_updates(config: DictConfig) -> None:
    """Refuse mini-batches of which one would have no question, for all that optimizers move by momentum alone."""
    batch, whole = config.data.train_batch_size, filled_up(config)
    for group in (ACTOR, CRITIC):
        mini = OmegaConf.select(config, f"{group}.ppo_mini_batch_size")
        if whole // mini > math.ceil(batch / mini):
            raise _wrong(
                f"{CRITIC}.ppo_mini_batch_size",
                f"={config.critic.ppo_mini_batch_size} with {ACTOR}.ppo_mini_batch_size="
                f"{config.actor_rollout_ref.actor.ppo_mini_batch_size}: verl would fill the batch of {batch} questions "
                f"up to {whole}, and whole mini-batches of {group} with nothing; choose a divisor of {batch}",
            )


def _wrong(key: str, words: str) -> ConfigError:
    return ConfigError(f"{key}{words}", key=key, reason="size")


def sequence_parallel(config: DictConfig, group: str) -> tuple[str, int]:
    """The key by which verl has so many devices share each row, and how many: the older one where it is above 1.

    Args:
        config: verl's, of the whole run.
        group: of ENGINES.
    """
    older, key = f"{group}.{ULYSSES}", f"{group}.{ENGINES[group]}.{ULYSSES}"
    if (size := OmegaConf.select(config, older) or 1) > 1 and group != CRITIC:
        return older, size
    return key, OmegaConf.select(config, key) or 1


def ranks_of(config: DictConfig, group: str) -> int:
    """Data-parallel ranks of an FSDP engine; at least 1."""
    return max(1, config.trainer.nnodes * config.trainer.n_gpus_per_node // sequence_parallel(config, group)[1])


def _has_own_reference(config: DictConfig) -> bool:
    """Whether a reference policy has an engine of its own: that of an adapter is the policy without it."""
    model = config.actor_rollout_ref.model
    adapter = (model.get("lora_rank") or 0) > 0 or model.get("lora_adapter_path") is not None
    return has_reference(config) and not adapter


def _check_ranks(config: DictConfig) -> None:
    devices, n = config.trainer.nnodes * config.trainer.n_gpus_per_node, config.actor_rollout_ref.rollout.n
    what = f"trainer.nnodes * trainer.n_gpus_per_node = {devices}"
    reference = [REF] if _has_own_reference(config) else []
    trained = [ACTOR, CRITIC] if has_critic(config) else [ACTOR]
    for group in trained + reference:
        key, size = sequence_parallel(config, group)
        if devices % size:
            raise _wrong(key, f"={size} does not divide {what}; choose another")
    for group in trained:
        mini, ranks = OmegaConf.select(config, f"{group}.ppo_mini_batch_size"), ranks_of(config, group)
        if (rows := mini * n) % ranks:
            raise _wrong(
                f"{group}.ppo_mini_batch_size",
                f"={mini} * rollout.n={n} = {rows} rows do not divide among {ranks} devices "
                f"({what}); change one of them",
            )


def _check_micro_batches(config: DictConfig) -> None:
    """verl cuts the batches of a critic by tokens, whatever its settings say."""
    parts, n = config.actor_rollout_ref, config.actor_rollout_ref.rollout.n
    actor, ranks = parts.actor, ranks_of(config, ACTOR)
    if actor.use_dynamic_bsz != parts.rollout.log_prob_use_dynamic_bsz:
        what = f"{ACTOR}.use_dynamic_bsz={actor.use_dynamic_bsz}"
        why = "one engine of verl makes both passes; set both to the same"
        given = parts.rollout.log_prob_use_dynamic_bsz
        raise excluded(f"{ROLLOUT}.log_prob_use_dynamic_bsz", given, what, why)
    mini = actor.ppo_mini_batch_size * n // ranks
    whole = filled_up(config) * n
    passes = [(f"{ACTOR}.ppo_micro_batch_size_per_gpu", actor, "use_dynamic_bsz", mini, "of a mini-batch")]
    name, dynamic = "log_prob_micro_batch_size_per_gpu", "log_prob_use_dynamic_bsz"
    passes.append((f"{ROLLOUT}.{name}", parts.rollout, dynamic, whole // ranks, "of a batch"))
    if _has_own_reference(config):
        passes.append((f"{REF}.{name}", parts.ref, dynamic, whole // ranks_of(config, REF), "of a batch"))
    for key, settings, dynamic, rows, of in passes:
        if settings[dynamic]:
            continue
        micro = settings[key.rsplit(".", 1)[1]]
        if micro is None:
            raise ConfigError(
                f"{key}=null: with {dynamic}=False a device takes so many rows at a time; choose a divisor of {rows}",
                key=key,
                reason="missing",
            )
        if rows % micro:
            raise _wrong(
                key, f"={micro} does not divide the {rows} rows that a device has {of}; choose a divisor of {rows}"
            )
