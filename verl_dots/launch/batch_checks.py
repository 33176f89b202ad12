"""Whether a batch divides into mini-batches, those among the devices, and a device's part into micro-batches."""

import math

from omegaconf import DictConfig

from verl_dots.methods.refusals import excluded
from verl_dots.settings import ConfigError
from verl_dots.training.parts import has_critic, has_reference

ACTOR, CRITIC = "actor_rollout_ref.actor", "critic"
ROLLOUT, REF = "actor_rollout_ref.rollout", "actor_rollout_ref.ref"


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
    if data.gen_batch_size and batch % data.gen_batch_size:
        raise _wrong(
            "data.gen_batch_size",
            f"={data.gen_batch_size} does not divide data.train_batch_size={batch}; set it to null",
        )
    if "fsdp" in str(config.actor_rollout_ref.actor.strategy):
        _check_ranks(config)
        _check_micro_batches(config)


def _wrong(key: str, words: str) -> ConfigError:
    return ConfigError(f"{key}{words}", key=key, reason="size")


def _parallel(settings: DictConfig) -> int:
    return settings.get("ulysses_sequence_parallel_size") or 1


def ranks_of(config: DictConfig, settings: DictConfig) -> int:
    """Data-parallel ranks of an FSDP actor or critic; at least 1."""
    return max(1, config.trainer.nnodes * config.trainer.n_gpus_per_node // _parallel(settings))


def _check_ranks(config: DictConfig) -> None:
    devices, n = config.trainer.nnodes * config.trainer.n_gpus_per_node, config.actor_rollout_ref.rollout.n
    what = f"trainer.nnodes * trainer.n_gpus_per_node = {devices}"
    trained = {ACTOR: config.actor_rollout_ref.actor} | ({CRITIC: config.critic} if has_critic(config) else {})
    for group, settings in trained.items():
        if devices % _parallel(settings):
            raise _wrong(
                f"{group}.ulysses_sequence_parallel_size",
                f"={_parallel(settings)} does not divide {what}; choose another",
            )
        rows, ranks = settings.ppo_mini_batch_size * n, ranks_of(config, settings)
        if rows % ranks:
            raise _wrong(
                f"{group}.ppo_mini_batch_size",
                f"={settings.ppo_mini_batch_size} * rollout.n={n} = {rows} rows do not divide among {ranks} devices "
                f"({what}); change one of them",
            )


def _check_micro_batches(config: DictConfig) -> None:
    """verl cuts the batches of a critic by tokens, whatever its settings say."""
    parts, n = config.actor_rollout_ref, config.actor_rollout_ref.rollout.n
    actor, ranks = parts.actor, ranks_of(config, parts.actor)
    if actor.use_dynamic_bsz != parts.rollout.log_prob_use_dynamic_bsz:
        what = f"{ACTOR}.use_dynamic_bsz={actor.use_dynamic_bsz}"
        why = "one engine of verl makes both passes; set both to the same"
        given = parts.rollout.log_prob_use_dynamic_bsz
        raise excluded(f"{ROLLOUT}.log_prob_use_dynamic_bsz", given, what, why)
    mini = actor.ppo_mini_batch_size * n // ranks
    # verl fills a batch up to whole mini-batches of the actor and of the critic.
    questions = math.lcm(actor.ppo_mini_batch_size, config.critic.ppo_mini_batch_size if has_critic(config) else 1)
    whole = math.ceil(config.data.train_batch_size / questions) * questions * n // ranks
    passes = [(f"{ACTOR}.ppo_micro_batch_size_per_gpu", actor, "use_dynamic_bsz", mini, "of a mini-batch")]
    forward = {ROLLOUT: parts.rollout} | ({REF: parts.ref} if has_reference(config) else {})
    name = "log_prob_micro_batch_size_per_gpu"
    passes += [(f"{at}.{name}", of, "log_prob_use_dynamic_bsz", whole, "of a batch") for at, of in forward.items()]
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
