"""Values of verl's config that are right alone and wrong together, and what verl itself refuses."""

import contextlib
import io
import logging
import warnings

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_dots.config import DotsConfig
from verl_dots.launch.batch_checks import ACTOR, CRITIC, ENGINES, ULYSSES, check_batches, sequence_parallel
from verl_dots.launch.objective_checks import check_objective
from verl_dots.methods.refusals import excluded
from verl_dots.settings import ConfigError, flat, require
from verl_dots.training.parts import has_critic

logger = logging.getLogger(__name__)

# Old key -> its name now; verl's V1 trainer reads the old one no more.
RENAMED = {
    "reward_model.num_workers": "reward.num_workers",
    "reward_model.reward_manager": "reward.reward_manager.name",
    "reward_model.reward_loop_source": "reward.reward_manager.source",
    "reward_model.reward_loop_module_path": "reward.reward_manager.module.path",
    "reward_model.reward_loop_class_name": "reward.reward_manager.module.name",
    "reward_model.reward_kwargs": "reward.reward_kwargs",
    "reward_model.model.path": "reward.reward_model.model_path",
    "reward_model.model.external_lib": "reward.reward_model.model_path",
    "reward_model.model.trust_remote_code": "reward.reward_model.model_path",
}
MOVED = {name: f"reward.{name}" for name in ("custom_reward_function", "reward_model", "sandbox_fusion")}


def check_renamed(config: DictConfig) -> None:
    """Refuse keys of earlier versions that verl has in its config and reads no more.

    Raises:
        ConfigError: the key and its name now.
    """
    for group in MOVED:
        given = config.get(group)
        given = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_config(given) else given
        for name, value in flat({group: given}).items():
            if value not in (None, {}):
                new = RENAMED.get(name) or MOVED[group] + name.removeprefix(group)
                words = f"{name}={value}: verl {new.split('.')[0]!r} took its place; set {new} instead"
                raise ConfigError(words, key=name, reason="renamed")
    for group in ("actor_rollout_ref.actor", "critic"):
        value = OmegaConf.select(config, f"{group}.grad_clip", default=1.0)
        rule = f"verl reads it no more; set {group}.optim.clip_grad instead"
        require(f"{group}.grad_clip", value, value == 1.0, rule, "renamed")
    value = OmegaConf.select(config, f"{CRITIC}.{ULYSSES}", default=1)
    rule = f"verl reads it no more; set {CRITIC}.{ENGINES[CRITIC]}.{ULYSSES} instead"
    require(f"{CRITIC}.{ULYSSES}", value, value == 1, rule, "renamed")


def check_together(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse values that verl would find not to go together in a worker, or would silently make another run of.

    Raises:
        ConfigError: the keys, and which to change.
    """
    _check_mode(config)
    _check_lengths(config)
    check_batches(config)
    _check_devices(config)
    _check_resume(config)
    _check_what_trains(config)
    check_objective(config)
    if config.actor_rollout_ref.rollout.temperature == 0:
        raise ConfigError(
            "actor_rollout_ref.rollout.temperature=0: all responses to a question would be the same, and none teaches "
            "anything (sampled greedily has no ratio); set it above 0",
            key="actor_rollout_ref.rollout.temperature",
            reason="range",
        )


def _check_mode(config: DictConfig) -> None:
    mode = "separate_async"
    if config.trainer.v1.trainer_mode == mode:
        raise ConfigError(
            f"trainer.v1.trainer_mode={mode}: rollouts have devices of their own there, and a step makes several "
            "updates of one batch as its parts arrive; the step that the methods, the run folder and its checkpoints "
            "belong to makes them of a whole batch; use colocate_async, where rollouts go on between the updates "
            "on the same devices, or verl.trainer.main_ppo",
            key="trainer.v1.trainer_mode",
            reason="excluded",
        )
    given, mode = config.data.get("gen_batch_size"), "colocate_async"
    if config.trainer.v1.trainer_mode == mode and given not in (None, 1):
        why = "a group that fails is replaced by one of another question; set it to null"
        raise excluded("data.gen_batch_size", given, f"trainer.v1.trainer_mode={mode}", why)


def check_room(rollout: DictConfig) -> int:
    """Tokens of a prompt and a response; ConfigError unless `actor_rollout_ref.rollout` has room for both."""
    room = rollout.prompt_length + rollout.response_length
    if rollout.max_model_len is not None and rollout.max_model_len < room:
        raise ConfigError(
            f"actor_rollout_ref.rollout.max_model_len={rollout.max_model_len} leaves no room for "
            f"data.max_prompt_length + data.max_response_length = {room} tokens; raise it, or set it to null",
            key="actor_rollout_ref.rollout.max_model_len",
            reason="size",
        )
    return room


def _check_lengths(config: DictConfig) -> None:
    rollout = config.actor_rollout_ref.rollout
    room = check_room(rollout)
    # verl cuts a batch into micro-batches of whole sequences.
    limits = [
        (f"{ACTOR}.ppo_max_token_len_per_gpu", ACTOR, config.actor_rollout_ref.actor.use_dynamic_bsz),
        ("actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu", ACTOR, rollout.log_prob_use_dynamic_bsz),
        # verl cuts the critic's by tokens whatever critic.use_dynamic_bsz is.
        ("critic.ppo_infer_max_token_len_per_gpu", CRITIC, has_critic(config)),
    ]
    for key, group, by_tokens in limits:
        limit = OmegaConf.select(config, key)
        ranks = sequence_parallel(config, group)[1]
        if by_tokens and limit is not None and limit * ranks < room:
            raise ConfigError(
                f"{key}={limit} is less than data.max_prompt_length + data.max_response_length = {room} tokens, which "
                f"one sequence may have; raise it to {-(-room // ranks)} or more",
                key=key,
                reason="size",
            )


def _check_devices(config: DictConfig) -> None:
    rollout = config.actor_rollout_ref.rollout
    devices = config.trainer.nnodes * config.trainer.n_gpus_per_node
    size = rollout.tensor_model_parallel_size * rollout.data_parallel_size * rollout.pipeline_model_parallel_size
    if rollout.nnodes == 0 and (size > devices or devices % size):
        raise ConfigError(
            f"actor_rollout_ref.rollout.tensor_model_parallel_size={rollout.tensor_model_parallel_size} (a replica "
            f"takes {size} devices with data and pipeline parallelism) does not divide trainer.nnodes * "
            f"trainer.n_gpus_per_node = {devices}; choose a divisor",
            key="actor_rollout_ref.rollout.tensor_model_parallel_size",
            reason="size",
        )


def _check_what_trains(config: DictConfig) -> None:
    """Refuse settings by which a run would do something else than they say."""
    trainer, critic = config.trainer, has_critic(config)
    if trainer.get("val_only") and not trainer.get("val_before_train", True):
        why = "it would train; set trainer.val_before_train=True"
        raise excluded("trainer.val_only", True, "trainer.val_before_train=False", why)
    if trainer.critic_warmup and not critic:
        why = "the actor would not be updated, and there is no critic that learns meanwhile; set it to 0"
        raise excluded("trainer.critic_warmup", trainer.critic_warmup, "no critic", why)
    for part, needed in (("actor_rollout_ref.actor", True), ("critic", critic)):
        contents = OmegaConf.select(config, f"{part}.checkpoint") or {}
        for name in ("save_contents", "load_contents") if needed else ():
            given = contents.get(name)
            there = given is None or "model" in given or (name == "save_contents" and "hf_model" in given)
            rule = "must have 'model', or the weights would not be in a checkpoint, or not be taken from it"
            require(f"{part}.checkpoint.{name}", given, there, rule, "missing")


def _check_resume(config: DictConfig) -> None:
    trainer, path = config.trainer, config.trainer.resume_from_path
    if trainer.resume_mode != "resume_path":
        if path is not None:
            why = "it is read with resume_path alone; set trainer.resume_mode=resume_path, or leave the path out"
            raise excluded("trainer.resume_from_path", path, f"trainer.resume_mode={trainer.resume_mode}", why)
        return
    if not isinstance(path, str) or "global_step_" not in path:
        raise ConfigError(
            f"trainer.resume_from_path={path}: trainer.resume_mode=resume_path needs the folder of a checkpoint, "
            "RUN_FOLDER/global_step_N",
            key="trainer.resume_from_path",
            reason="missing",
        )


def check_by_verl(config: DictConfig) -> None:
    """Let verl make its typed configs of ours and check them, as its workers do after the start.

    Raises:
        ConfigError: verl's message.
    """
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings(action="ignore"):
            validate_config(config, need_reference_policy(config), need_critic(config))
            for part in (config.actor_rollout_ref.rollout, config.algorithm, config.actor_rollout_ref.actor.checkpoint):
                omega_conf_to_dataclass(part)
    except HydraException as error:
        cause = error.__cause__ or error
        raise ConfigError(f"verl refuses the config: {str(cause) or type(cause).__name__}", reason="verl") from error
    except (AssertionError, ValueError, TypeError, NotImplementedError, OmegaConfBaseException) as error:
        words = str(error) or "an assertion of verl does not hold"
        raise ConfigError(f"verl refuses the config: {words}", reason="verl") from error
    for line in said.getvalue().splitlines():
        logger.debug("%s", line)
