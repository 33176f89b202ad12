"""One run at a time in a folder; a process that ends, however it ends, gives the folder back."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.refusals import refused
from verl_dots.training.run_lock import COMMAND, hold, release, require_free

HOLDER = (
    "import sys, time\n"
    "from verl_dots.training.run_lock import COMMAND, hold\n"
    "hold(sys.argv[1], COMMAND)\n"
    "print('held', flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_refused_with_host_and_process(tmp_path, holder):
    for take in (hold, require_free):
        told = (str(tmp_path), f"host {socket.gethostname()}, process {holder.pid},")
        with refused("trainer.default_local_dir", "other run", *told):
            take(tmp_path, COMMAND, wait_seconds=0)


@pytest.mark.parametrize("end", ["kill -KILL", "sleep 0.3; kill"])
def test_a_run_that_was_killed_or_is_about_to_end_is_waited_for(tmp_path, holder, end):
    subprocess.Popen(["sh", "-c", f"{end} {holder.pid}"])
    hold(tmp_path, COMMAND, wait_seconds=10)
    assert holder.wait(5) != 0
    release(tmp_path, COMMAND)


def test_one_process_holds_a_folder_once_and_its_children_do_not(tmp_path):
    hold(tmp_path, COMMAND)
    hold(tmp_path, COMMAND, wait_seconds=0)
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        release(tmp_path, COMMAND)
        code = f"from verl_dots.training.run_lock import *; hold({str(tmp_path)!r}, COMMAND, wait_seconds=2)"
        subprocess.run([sys.executable, "-c", code], check=True)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
