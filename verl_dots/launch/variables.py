"""Environment variables that would end a run in one of its workers: put right, or refused, before anything starts."""

import logging
import os
from collections.abc import MutableMapping
from pathlib import Path

from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

CUDA, HIP, ROCR = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"
# The longest path of a Unix socket, and the longest name that Ray gives one of its own.
SOCKET_BYTES = 107
SOCKET = "ray/session_2026-01-01_00-00-00_000000_{pid}/sockets/plasma_store"


def repair_devices(environment: MutableMapping[str, str]) -> None:
    """Leave one variable that hides devices: verl's workers refuse ROCR_VISIBLE_DEVICES beside another.

    SLURM sets it on machines without any AMD device.

    Raises:
        ConfigError: HIP_VISIBLE_DEVICES and CUDA_VISIBLE_DEVICES name different devices.
    """
    cuda, hip, rocr = (environment.get(name) for name in (CUDA, HIP, ROCR))
    if hip and cuda and hip != cuda:
        words = f"{HIP}={hip} and {CUDA}={cuda} name different devices; unset {HIP}, or make them equal"
        raise ConfigError(words, key=HIP, reason="machine")
    if rocr and (cuda or hip):
        logger.warning(
            "%s=%s is set beside %s=%s, which verl's workers refuse: %s is left out",
            ROCR, rocr, CUDA if cuda else HIP, cuda or hip, ROCR,
        )  # fmt: skip
        del environment[ROCR]


def check_temporary_folder(environment: MutableMapping[str, str], given: str | None = None) -> None:
    """Refuse a folder for temporary files in which the paths of Ray's sockets would be too long.

    Args:
        environment: RAY_TMPDIR, else TMPDIR, says where Ray puts its files; else they are in /tmp.
        given: ray_kwargs.ray_init._temp_dir, which stands above them, and holds the sessions itself.

    Raises:
        ConfigError: the variable, and the greatest length that works.
    """
    names = ("RAY_TMPDIR", "TMPDIR")
    name = next((name for name in names if environment.get(name)), None)
    socket = SOCKET.format(pid=os.getpid())
    if given:
        name, folder, socket = "ray_kwargs.ray_init._temp_dir", given, socket.removeprefix("ray/")
    elif name is None:
        return
    else:
        folder = environment[name]
    most = SOCKET_BYTES - len(socket) - 1
    if (length := len(os.fsencode(folder.rstrip("/")))) > most:
        raise ConfigError(
            f"{name}={folder}: has {length} bytes, and Ray's sockets in it would have paths of "
            f"{length + 1 + len(socket)}, where the system allows {SOCKET_BYTES}; "
            f"set RAY_TMPDIR to a folder of at most {most} bytes, such as /tmp",
            key=name,
            reason="machine",
        )
    if not Path(folder).is_dir() and not given:
        words = f"{name}={folder}: there is no such folder; make it, or set {name} to another one"
        raise ConfigError(words, key=name, reason="file")
