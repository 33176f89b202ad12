"""recipes/slurm/node.sh beside a `ray` that only makes its folder and waits: no SLURM is needed."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.launches import ROOT

SCRIPT = ROOT / "recipes/slurm/node.sh"
RAY = """#!/bin/bash
for word; do case $word in --temp-dir=*) mkdir "${word#*=}" ;; esac; done
echo "Ray runtime started"
touch "$RUN/begun"
exec sleep 600
"""
PATIENCE_SECONDS = 60


@pytest.fixture
def begun(tmp_path) -> subprocess.Popen:
    """The head's node.sh, in a session of its own, once its Ray runs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ray").write_text(RAY)
    (tmp_path / "bin/ray").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin", "RUN": str(tmp_path), "RAY_TMPDIR": str(tmp_path), "SLURM_JOB_ID": "7",
        "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURMD_NODENAME": "n1", "LOGICAL_DEVICES": "1",
        "NODE_IP": "127.0.0.1", "RAY_ADDRESS": "127.0.0.1:1", "CLIENT_PORT": "2", "JOIN_SECONDS": "1",
    }  # fmt: skip
    process = subprocess.Popen(["bash", str(SCRIPT)], env=environment, start_new_session=True)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (tmp_path / "begun").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def told(folder: Path) -> str:
    return (folder / "ray-node0.log").read_text()


@pytest.mark.parametrize("whom", ["all of the step", "the script"])
def test_at_the_end_of_its_step_a_node_takes_ray_s_files_away(tmp_path, begun, whom):
    """scancel's SIGTERM comes to every process of a step: also to the sleep that the script waits for."""
    assert (tmp_path / "ray-7.0-0").is_dir()
    time.sleep(0.3)  # the script sleeps
    if whom == "the script":
        begun.terminate()
    else:
        os.killpg(begun.pid, signal.SIGTERM)
    assert begun.wait(timeout=PATIENCE_SECONDS) == 0, told(tmp_path)
    assert not (tmp_path / "ray-7.0-0").exists()


def test_where_ray_ends_by_itself_the_node_ends_with_its_status_and_takes_its_files_away(tmp_path, begun):
    [ray] = [int(pid) for pid in children_of(begun.pid) if name_of(pid) == "sleep" and "600" in words_of(pid)]
    os.kill(ray, signal.SIGKILL)
    assert begun.wait(timeout=PATIENCE_SECONDS) == 137
    assert "ray start (attempt 1) ended with status 137" in told(tmp_path)
    assert not (tmp_path / "ray-7.0-0").exists()


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def words_of(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def name_of(pid: str) -> str:
    return Path(words_of(pid)[0]).name
