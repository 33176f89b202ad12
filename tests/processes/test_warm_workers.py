"""Processes that are forked from a warm one, as Ray starts its workers."""

import gc
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from omegaconf import OmegaConf

from tests.launches import PATIENCE_SECONDS, environment, plain_config
from verl_dots.processes.environment import joins_cluster, ray_address
from verl_dots.processes.warm_workers import MODULES, WarmWorkers, uncollected, warm_workers

SCRIPT = """
import json, os, random, signal, sys
import tomllib  # which the warm process has imported
print(json.dumps({
    "arguments": sys.argv[1:], "folder": os.getcwd(), "variable": os.environ.get("OWN"), "process": os.getpid(),
    "inherited": os.environ.get("OF_THE_WARM_PROCESS"), "random": random.random(), "path": sys.path[0],
    "children": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL, "name": __name__,
}))
print("to the other stream", file=sys.stderr)
"""


@pytest.fixture
def warm():
    made = WarmWorkers({"OF_THE_WARM_PROCESS": "1"}, modules=("tomllib",))
    yield made
    made.close()


@pytest.fixture
def start(tmp_path):
    """Start SCRIPT as Ray starts a worker, and say what it says of itself."""
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "script.py").write_text(SCRIPT)

    def run(executable: str) -> tuple[dict, str, int]:
        command = f"exec {executable} {tmp_path / 'worker' / 'script.py'} --name {shlex.quote('a b')}"
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=tmp_path, env={**environment(), "OWN": "2"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return json.loads(out), err, process.pid

    return run


def test_a_fork_is_the_process_that_was_asked_for(warm, start, tmp_path):
    said, errors, asked = start(warm.executable)
    number = said.pop("random")
    assert said.pop("process") != asked  # it is the fork, not who asked for it
    assert said == {
        "arguments": ["--name", "a b"], "folder": str(tmp_path), "variable": "2", "inherited": None,
        "path": str(tmp_path / "worker"), "children": True, "name": "__main__",
    }  # fmt: skip
    assert errors == "to the other stream\n"
    assert start(warm.executable)[0]["random"] != number


def test_without_the_warm_process_a_worker_starts_by_itself(warm, start):
    executable = warm.executable
    warm.close()
    said, _, asked = start(executable)
    assert said["process"] == asked and said["arguments"] == ["--name", "a b"]


def test_the_warm_process_ends_with_the_command_and_leaves_nothing(tmp_path):
    command = (
        "from verl_dots.processes.warm_workers import *; w = WarmWorkers({}, ()); print(w._process.pid, flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", f"{command}; import time; time.sleep(60)"],
        env=environment(TMPDIR=tmp_path), stdout=subprocess.PIPE,
    )  # fmt: skip
    pid = int(process.stdout.readline())
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(100):
        if not psutil.pid_exists(pid):
            assert list(tmp_path.iterdir()) == []
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the warm process outlives the command")


def test_while_much_is_imported_nothing_is_collected_and_later_none_of_it_is():
    gc.collect()
    with uncollected():
        assert not gc.isenabled()
        kept = [[] for _ in range(1000)]
    try:
        assert gc.isenabled() and gc.get_freeze_count() >= len(kept)
    finally:
        gc.unfreeze()
    with pytest.raises(ImportError), uncollected():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()


def test_what_it_imports_has_neither_ray_nor_a_thread():
    """Ray reads a worker's variables when it is imported, and a fork has no threads but its own."""
    code = (
        "import importlib, sys, threading\n"
        f"for name in {MODULES}: importlib.import_module(name)\n"
        "print(sorted({'ray', 'verl', 'transfer_queue'} & set(sys.modules)), threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "[] 1"


@pytest.mark.parametrize(
    "key",
    [
        "trainer.device=cuda", "trainer.nnodes=2", "ray_kwargs.ray_init.address=auto",
        "ray_kwargs.ray_init.runtime_env.py_executable=python3.12", "ray_kwargs.ray_init.runtime_env.pip=[vllm]",
        "ray_kwargs.ray_init.runtime_env.env_vars.PYTHONPATH=/code",
        "actor_rollout_ref.rollout.full_determinism=true",
        # What a check refuses later.
        "trainer=null", "trainer.nnodes=${nope}", "trainer.nnodes=???", "ray_kwargs.ray_init.address=5",
        "ray_kwargs.ray_init.runtime_env=5", "ray_kwargs.ray_init.runtime_env.env_vars=5",
        "ray_kwargs.ray_init.runtime_env.env_vars.A=${nope}", "ray_kwargs.ray_init.runtime_env.env_vars.A=???",
    ],
)  # fmt: skip
def test_where_workers_are_to_be_others_than_the_command_none_is_forked(key):
    assert warm_workers(config_with(key)) == []


def test_workers_of_a_plain_run_on_a_cpu_are_forked(cpu_environment):
    (warm,) = warm_workers(plain_config())
    warm.close()


def test_workers_of_a_ray_that_others_have_started_are_not_forked(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert warm_workers(config_with()) == []
    assert joins_cluster("10.0.0.1:6379", {}) and joins_cluster(None, {"RAY_ADDRESS": "auto"})
    assert ray_address("10.0.0.1:6379", {}) == "10.0.0.1:6379" and ray_address(None, {"RAY_ADDRESS": "auto"}) is None
    assert ray_address(None, {}) == "local"  # without any it would join one that anybody has started here
    assert not joins_cluster("local", {"RAY_ADDRESS": "auto"}) and not joins_cluster(None, {"RAY_ADDRESS": "local"})


def test_without_room_for_a_socket_ray_starts_the_workers(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert warm_workers(config_with()) == [] and list(long.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert warm_workers(config_with()) == []


def test_a_variable_that_no_process_can_have_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = config_with()
    config.ray_kwargs.ray_init = {"runtime_env": {"env_vars": {"A": "a\0b"}}}
    assert warm_workers(config) == [] and list(tmp_path.iterdir()) == []


def test_one_who_ends_in_the_middle_of_its_question_holds_up_no_other(warm, start):
    address = shlex.split(warm.executable)[-1]
    for said in (b"", (100).to_bytes(8, "big") + b"{"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            connection.sendall(said)
    assert start(warm.executable)[0]["arguments"] == ["--name", "a b"]


def config_with(*overrides):
    base = {
        "trainer": {"device": "cpu", "nnodes": 1}, "ray_kwargs": {"ray_init": {}},
        "actor_rollout_ref": {"rollout": {"full_determinism": False}},
    }  # fmt: skip
    config = OmegaConf.create(base)
    for key, _, value in (override.partition("=") for override in overrides):
        read = OmegaConf.to_container(OmegaConf.from_dotlist([f"x={value}"]))
        OmegaConf.update(config, key, read["x"], force_add=True)
    return config
