"""What a run needs of the machine: devices, packages for them, folders to write. Asked when it is about to start."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_dots.files import OutputError, try_folder
from verl_dots.launch.attention_checks import check_attention
from verl_dots.launch.memory_checks import check_memory
from verl_dots.launch.variables import check_temporary_folder, repair_devices
from verl_dots.processes.environment import joins_cluster
from verl_dots.settings import ConfigError, require

TIMELINE = "ray_kwargs.timeline_json_file"
ENGINE = "actor_rollout_ref.rollout.name"
ENGINES = ("vllm", "sglang")  # whose packages have their names
ENVIRONMENT = "activate the environment for GPUs; VENV=.venv-gpu bash scripts/install_gpu.sh makes it"


def check_machine(config: DictConfig, train: bool = True) -> None:
    """Refuse a run that this machine cannot hold.

    Args:
        train: the run leaves a run folder behind; else it only generates.

    Raises:
        ConfigError: a variable of the environment, more devices than there are, packages that cannot use them, a folder
            that cannot be written.
    """
    repair_devices(os.environ)
    init = OmegaConf.select(config, "ray_kwargs.ray_init") or {}
    joined = joins_cluster(init.get("address"), os.environ)  # then devices and Ray's folder are of other processes
    if not joined:
        check_temporary_folder(os.environ, init.get("_temp_dir"))
    if config.trainer.device == "cuda":
        if not joined:
            _check_devices(config)
        _check_packages(config)
        if train:
            check_attention(config)
            if not joined or "SLURM_JOB_ID" in os.environ:  # this is a node of the run
                check_memory(config)
    if train:
        for key in _folders(config):
            try_writing(key, OmegaConf.select(config, key))
        _check_timeline(OmegaConf.select(config, TIMELINE))


def try_writing(key: str, folder: str | None) -> None:
    """Write a file into a folder and remove it again, see `try_folder`.

    Raises:
        ConfigError: it cannot be written.
    """
    if not folder or "://" in str(folder):
        return
    path = Path(folder).expanduser()
    try:
        try_folder(path, f"{key}={folder}")
    except OutputError as error:
        raise ConfigError(str(error), key=key, reason="file") from error


def _check_timeline(file: str | None) -> None:
    """Raise ConfigError for a file that cannot be written: Ray writes it when the training is over."""
    if file is None:
        return
    folder = Path(file).parent
    rule = f"the folder {folder} is not there, and Ray makes none at the end of the run; make it"
    require(TIMELINE, file, folder.is_dir(), rule, "file")
    require(TIMELINE, file, not Path(file).is_dir(), "it is a folder; name a file", "file")
    if Path(file).exists():
        require(TIMELINE, file, os.access(file, os.W_OK), "it is there and cannot be written; name another", "file")
    try_writing(TIMELINE, str(folder))


def _folders(config: DictConfig) -> list[str]:
    # It imports verl: not before the environment is set.
    from verl_dots.methods.table import METHODS

    keys = ["trainer.default_local_dir", "trainer.rollout_data_dir", "trainer.validation_data_dir"]
    return keys + [key for stage in METHODS for key in stage.written_folders(config)]


def _check_devices(config: DictConfig) -> None:
    import torch

    key, wanted, there = "trainer.n_gpus_per_node", config.trainer.n_gpus_per_node, torch.cuda.device_count()
    seen = f"this machine has no GPU that torch {torch.__version__} sees"
    rule = f"{seen}; set device=cpu to run without, or RAY_ADDRESS to join a cluster"
    require(key, wanted, there > 0, rule, "machine")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    of = f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else ""
    require(key, wanted, wanted <= there, f"there are {there} GPUs here{of}; set it to {there} or less", "machine")
    nodes = config.trainer.nnodes
    rule = "Ray started here has one node; start it on all nodes and set RAY_ADDRESS, or set trainer.nnodes=1"
    require("trainer.nnodes", nodes, nodes == 1, rule, "machine")


def _check_packages(config: DictConfig) -> None:
    """Refuse packages of a machine without GPUs. Those of a cluster are taken to be the same, as in a job of SLURM."""
    import torch

    build = torch.version.cuda or torch.version.hip
    rule = f"torch {torch.__version__} of {sys.prefix} is a build for CPUs; {ENVIRONMENT}, or set device=cpu"
    require("trainer.device", config.trainer.device, build is not None, rule, "machine")
    engine = config.actor_rollout_ref.rollout.name
    rule = f"the package {engine} is not installed in {sys.prefix}; {ENVIRONMENT}"
    require(ENGINE, engine, engine not in ENGINES or is_installed(engine), rule, "machine")


def is_installed(package: str) -> bool:
    """Whether a package can be found; nothing of it is imported."""
    return find_spec(package) is not None
