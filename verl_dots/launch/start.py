"""From a composed config to a running trainer: checks, environment of the Ray processes, verl's `run_ppo`."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_dots.config import DotsConfig
from verl_dots.console.redirect import HeldBack
from verl_dots.launch import method_checks
from verl_dots.launch.arguments import check_arguments
from verl_dots.launch.claim import claim_run
from verl_dots.launch.combinations import check_by_verl, check_renamed, check_together
from verl_dots.launch.data_checks import check_data, check_paths
from verl_dots.launch.loaded import check_loaded, check_turns
from verl_dots.launch.machine_checks import check_machine
from verl_dots.launch.model_checks import MODEL, check_model_folder, check_places, require_model
from verl_dots.launch.remote_code import check_remote_code
from verl_dots.launch.reward_checks import check_reward
from verl_dots.launch.start_screen import run_console
from verl_dots.launch.trials import check_by_trial
from verl_dots.launch.verl_choices import check_choices
from verl_dots.launch.verl_names import check_names
from verl_dots.launch.verl_values import VARIABLES, check_values, resolving
from verl_dots.methods.refusals import refused_as
from verl_dots.processes.environment import joins_cluster, prepare_environment, ray_address
from verl_dots.processes.ray_start import with_patience
from verl_dots.processes.warm_workers import WarmWorkers
from verl_dots.processes.working_folder import ENTER, FOLDER, HOOK
from verl_dots.settings import ConfigError, require
from verl_dots.training.run_folder import versions
from verl_dots.training.secret_settings import refuse_secrets

logger = logging.getLogger(__name__)
ADDRESS = "ray_kwargs.ray_init.address"
RUNTIME = "ray_kwargs.ray_init.runtime_env"


def validate(config: DictConfig, data: bool = True, train: bool = True) -> DotsConfig:
    """Check what verl does not, before anything starts.

    Args:
        data: check every row of the data sets, too, the model's folder, and ask the hub for what its cache lacks.
        train: the model will be trained; else it only generates.

    Raises:
        ConfigError: a setting of `dots` is wrong, or a file that the run needs is not there.
    """
    with resolving():
        return _validate(config, data, train)


def _validate(config: DictConfig, data: bool, train: bool) -> DotsConfig:
    refuse_secrets(config)
    dots = DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True))
    check_renamed(config)
    check_values(config)
    check_paths(config, train)
    check_places(config)
    use_v1 = config.trainer.use_v1
    require("trainer.use_v1", use_v1, use_v1, "verl_dots extends verl's V1 trainer only; leave it at True", "excluded")
    if config.trainer.device == "cpu":
        _check_cpu_engine(config.actor_rollout_ref.rollout, train)
    check_names(config)
    check_arguments(config)
    check_choices(config)
    check_reward(config)
    method_checks.check(config, dots)
    if train:
        check_loaded(config)
        check_together(config, dots)
        check_by_verl(config)
        check_by_trial(config)
    if data:
        with refused_as(MODEL, "file"):
            require_model(config.actor_rollout_ref.model.path)
        if train:
            check_remote_code(config)
            check_turns(config)
        check_model_folder(config, train)
        check_data(config, train)
    return dots


def _check_cpu_engine(rollout: DictConfig, train: bool) -> None:
    """Raise ConfigError for an engine that does not do this on a CPU."""
    name, key = rollout.name, "actor_rollout_ref.rollout.name"
    if name == "hf":
        return
    # Builds of vLLM for CPUs say so in their version.
    if name != "vllm" or "cpu" not in versions().get("vllm", ""):
        raise ConfigError(f"{key}={name!r} needs a GPU; on a CPU it must be 'hf'", key=key, reason="excluded")
    # They pack the weights at the start and take no new ones, and their batch-invariant kernels are those of GPUs. A
    # worker of the user's own may do better.
    if OmegaConf.select(rollout, "engine_kwargs.vllm.worker_extension_cls"):
        return
    if train:
        words = "on a CPU can generate, but takes no new weights; in training on a CPU it must be 'hf'"
        raise ConfigError(f"{key}={name!r} {words}", key=key, reason="excluded")
    if rollout.full_determinism:
        key = "actor_rollout_ref.rollout.full_determinism"
        words = "vLLM's batch-invariant kernels need a GPU; on a CPU leave it out, or use rollout.name=hf"
        raise ConfigError(f"{key}=True: {words}", key=key, reason="excluded")


def launch(config: DictConfig, checked: bool = False, warm: WarmWorkers | None = None) -> None:
    """Run the training that `config` describes, on this machine's or the connected Ray cluster.

    Args:
        checked: it has passed `validate` already.
        warm: what Ray's workers are forked from.
    """
    environment = prepare_environment(config.trainer.device == "cpu", config.trainer.nnodes)
    if not checked:
        validate(config)
        check_machine(config)
        claim_run(config)

    with HeldBack() as said:
        import ray
        from verl.trainer.main_ppo import run_ppo
        from verl.utils.device import auto_set_device

        from verl_dots.training.task_runner import DotsTaskRunner, PlacedTaskRunner, secrets_unseen

        auto_set_device(config)
    prepare_workers(config, environment)
    if warm is not None:
        OmegaConf.update(config, f"{RUNTIME}.py_executable", warm.executable, force_add=True)
    folder = Path(config.trainer.default_local_dir)
    runner = PlacedTaskRunner(ray.remote(DotsTaskRunner), config.dots.patience_seconds, folder)
    joined = ray.is_initialized()
    with run_console(config, said.text), secrets_unseen(config):
        try:
            with_patience(lambda: run_ppo(config, task_runner_class=runner), ray.is_initialized)
        finally:
            if not joined:
                ray.shutdown()  # the last words of its workers belong to the log, too


def prepare_workers(config: DictConfig, environment: Mapping[str, str]) -> None:
    """Say in `ray_kwargs` which Ray the run has, and give its workers these variables and the command's folder.

    What the user has set stays.
    """
    address = OmegaConf.select(config, ADDRESS)
    given = {f"{VARIABLES}.{name}": value for name, value in environment.items()}
    if joins_cluster(address, os.environ):
        given |= {f"{VARIABLES}.{FOLDER}": os.getcwd(), f"{RUNTIME}.{HOOK}": ENTER}
    for key, value in given.items():
        if OmegaConf.select(config, key) is None:
            OmegaConf.update(config, key, value, force_add=True)
    OmegaConf.update(config, ADDRESS, ray_address(address, os.environ), force_add=True)
