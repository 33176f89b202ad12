"""Ray's workers of a command on this machine, forked from one process that has imported what they need.

Each of a run's dozen processes imports torch, transformers and what else verl names: seconds of a core for each, most
of a short run's start on a laptop. Here one process imports them, while the command checks its config or starts Ray.
Ray has each worker started through `forked_worker`, which has it fork. It has no thread, no connection and no model of
its own.

Only for runs on a CPU whose Ray this command starts itself: a GPU's runtime does not survive a fork.
"""

import contextlib
import gc
import importlib
import json
import os
import random
import resource
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_dots.processes import forked_worker
from verl_dots.processes.environment import joins_cluster, prepare_environment

# What verl and Ray import of other packages. Not these two: Ray reads the variables of a worker when it is imported.
# Where verl is imported, too, forks draw equal names for Ray's objects.
MODULES = (
    "torch._dynamo",
    "torch.distributed.fsdp",
    "torch.distributed.tensor",
    "tensordict",
    "transformers",
    "peft",
    "datasets",
    "pandas",
    "hydra",
    "aiohttp",
    "fastapi",
    "jsonschema",
    "scipy.stats",
)
SOCKET = "socket"
EVERY_SECONDS = 1.0  # how often it looks whether the command still runs
ASKING_SECONDS = 5.0  # that one who asks has for its question


class WarmWorkers:
    """The warm process, from its making until `close`; it also ends with this one.

    Args:
        environment: variables beside this process's.
        modules: what it imports.
    """

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str] = MODULES):
        self._folder = Path(tempfile.mkdtemp(prefix="verl_dots_"))  # of this user alone
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(self._folder / SOCKET))
                server.listen(64)  # those who ask while it imports wait
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(server.fileno()), str(os.getpid()), self._folder, *modules],
                    env={**os.environ, **environment},
                    pass_fds=[server.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the command, which ends the run in order
                )
        except (OSError, ValueError):
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def executable(self) -> str:
        """What a worker's `py_executable` is set to, a part of a shell command."""
        return shlex.join([sys.executable, "-S", "-E", forked_worker.__file__, str(self._folder / SOCKET)])

    def close(self) -> None:
        """End the warm process; its forks run on."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # the kernel cannot end it: it waits for a disk
            self._process.wait(ASKING_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)


def warm_workers(config: DictConfig) -> list[WarmWorkers]:
    """The warm process of a run, or none where Ray must start the workers.

    That is on GPUs, on a Ray that others have started, where the workers are to have another Python or another order of
    hashes than the command, and where there is no room for a socket. The checks of the config come later, so one that
    they will refuse may have none.
    """
    try:
        variables = _variables_of_workers(config)
        return [] if variables is None else [WarmWorkers(prepare_environment(cpu=True) | variables)]
    except OmegaConfBaseException:  # a value that names another one in vain
        return []
    except (OSError, ValueError):  # a folder that is refused later, or too long for a socket; a variable of no process
        return []


def _variables_of_workers(config: DictConfig) -> dict[str, str] | None:
    """The variables that a run sets for its workers; None where they cannot be forked, or a check will refuse them."""
    address, wanted, given = (
        OmegaConf.select(config, f"ray_kwargs.ray_init.{key}")
        for key in ("address", "runtime_env", "runtime_env.env_vars")
    )
    device, nodes = OmegaConf.select(config, "trainer.device"), OmegaConf.select(config, "trainer.nnodes")
    if device != "cpu" or nodes != 1 or joins_cluster(address, os.environ):
        return None
    if OmegaConf.select(config, "actor_rollout_ref.rollout.full_determinism"):  # verl then sets PYTHONHASHSEED
        return None
    if not all(isinstance(group, DictConfig | None) for group in (wanted, given)):
        return None
    others = [name for name, value in (wanted or {}).items() if name != "env_vars" and value is not None]
    variables = {str(name): str(value) for name, value in (given or {}).items()}
    if others or any(name.startswith(("PYTHON", "LD_")) for name in variables):
        return None
    return variables


def serve(server: socket.socket, parent: int, folder: str, modules: Sequence[str]) -> None:
    """Import, then fork for whoever asks, until the process that started this one has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended forks leave nothing behind
    with server:
        with uncollected():
            for name in modules:
                if os.getppid() == parent:
                    importlib.import_module(name)
            if "transformers" in modules:
                _read_configs()
        server.settimeout(EVERY_SECONDS)
        while os.getppid() == parent:
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                if (asked := _asked(connection)) is None:
                    continue
                request, files = asked
                if os.fork() == 0:
                    server.close()
                    connection.sendall(b"1")
                    connection.close()
                    _become(request, files)
            for file in files:
                os.close(file)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """While much is imported, which stays: collections would look through it, in a sixth of the time that it takes.

    None does later, so pages that forks share stay shared.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _read_configs() -> None:
    """Import the config of every model that transformers knows: verl asks of each model whether it is among these."""
    from transformers import AutoModelForImageTextToText

    AutoModelForImageTextToText._model_mapping.keys()


def _asked(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """What one who asks wants, and its three files; None where it has ended meanwhile."""
    files: list[int] = []
    try:
        connection.settimeout(ASKING_SECONDS)
        length, files, _, _ = socket.recv_fds(connection, 8, 3)
        text = b""
        while more := connection.recv(1 << 20):
            text += more
            if len(text) == int.from_bytes(length, "big"):
                return json.loads(text), files
    except (OSError, ValueError):
        pass
    for file in files:
        os.close(file)
    return None


def _become(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Be the process that was asked for: its files, folder, environment and arguments; run its script and end."""
    os.setsid()
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environ"])
    resource.setrlimit(resource.RLIMIT_NOFILE, request["open_files"])  # Ray has raised its own
    _as_if_new()
    sys.argv = request["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit(0)


def _as_if_new() -> None:
    """What a process has of its own from its start: seeds that no one has set, and the number of threads."""
    import numpy as np
    import torch

    random.seed()
    np.random.seed()
    threads = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # a list is of nested levels
    torch.set_num_threads(int(threads) if threads.strip().isdigit() else torch.get_num_threads())


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
