"""Signals to a guarded command, with real processes: a child that starts a daemon of its own, as Ray does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.launches import PATIENCE_SECONDS

ROOT = Path(__file__).parents[1]
# The daemon writes its pid; it ignores SIGTERM, and its parent's end leaves it an orphan.
COMMAND = """
import sys
from verl_dots import guard
from verl_dots.guard import guarded, tell
guard.GRACE_SECONDS = 0.3
guarded("work", "the same command continues")

import os, pathlib, signal, subprocess, threading, time
folder, status, stops = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "stops"
sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
daemon = subprocess.Popen(["sh", "-c", f'{sys.executable} -c "{sleeper}" & echo $! > {folder}/partial'])
daemon.wait()
if stops:
    tell(stop_file=str(folder / "stop"))
(folder / "partial").rename(folder / "daemon")
deadline = time.monotonic() + 60
while time.monotonic() < deadline and not (folder / "go").exists():
    if stops and (folder / "stop").exists() and not (folder / "deaf").exists():
        tell(resumes="the same command resumes from step 3")
        sys.exit(status)
    time.sleep(0.02)
if (folder / "short").exists():
    threading.Thread(target=os._exit, args=[status]).start()
    time.sleep(60)
if (folder / "forks").exists() and os.fork() == 0:
    sys.exit(0)
if (folder / "forks").exists():
    os.wait()
    os._exit(status)
if (folder / "raises").exists():
    raise ValueError("told")
tell(complete=True)
sys.exit(status)
"""


class Work:
    """A guarded command that runs."""

    def __init__(self, folder: Path, status: int = 0, stops: bool = True, stderr: int | IO = subprocess.PIPE):
        arguments = [sys.executable, "-c", COMMAND, str(folder), str(status), "stops" if stops else "ends"]
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=stderr, text=True,
            start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (folder / "daemon").exists():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        self.daemon = int((folder / "daemon").read_text())
        assert psutil.pid_exists(self.daemon)

    def end(self) -> tuple[int, str]:
        """Its status and what it wrote, once it has ended; of its daemon nothing is left."""
        text = self.process.communicate(timeout=PATIENCE_SECONDS)[1]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while psutil.pid_exists(self.daemon) and psutil.Process(self.daemon).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the daemon lives"
            time.sleep(0.02)
        return self.process.returncode, text


@pytest.mark.parametrize("status", [0, 3])
def test_without_a_signal_the_status_is_the_command_s(tmp_path, status):
    work = Work(tmp_path, status)
    (tmp_path / "go").touch()
    assert work.end() == (status, "")


@pytest.mark.parametrize(("status", "expected"), [(0, 143), (5, 5)])
def test_sigterm_makes_the_stop_file_and_is_the_status_of_what_does_not_fail(tmp_path, status, expected):
    work = Work(tmp_path, status)
    os.killpg(work.process.pid, signal.SIGTERM)  # the whole group: `timeout` and schedulers do that
    text = "work: SIGTERM: the run saves after this step and ends; a second SIGTERM ends it at once\n"
    assert work.end() == (expected, text)


def test_a_command_that_was_at_its_end_when_sigterm_came_is_complete(tmp_path):
    (tmp_path / "deaf").touch()
    work = Work(tmp_path)
    work.process.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert work.end()[0] == 0


def test_a_second_sigterm_ends_it_at_once(tmp_path):
    (tmp_path / "deaf").touch()
    work = Work(tmp_path)
    work.process.send_signal(signal.SIGTERM)
    while not (tmp_path / "stop").exists():
        time.sleep(0.02)
    work.process.send_signal(signal.SIGTERM)
    status, text = work.end()
    assert status == 143
    assert text.endswith("work: ended by SIGTERM; the same command continues\n")
    assert not (tmp_path / "stop").exists()  # the next start would stop after a step


@pytest.mark.parametrize(
    ("stops", "send", "number", "status"),
    [
        (False, os.kill, signal.SIGINT, 130),
        (False, os.kill, signal.SIGTERM, 143),
        (True, os.killpg, signal.SIGINT, 130),  # SIGINT ends even what could stop
    ],
)
def test_what_does_not_stop_ends_at_once_and_says_how_to_go_on(tmp_path, stops, send, number, status):
    work = Work(tmp_path, stops=stops)
    send(work.process.pid, number)
    assert work.end() == (status, f"work: ended by {number.name}; the same command continues\n")


def test_what_ends_ends_where_its_words_find_no_room(tmp_path):
    with open("/dev/full", "w") as full:
        work = Work(tmp_path, stderr=full)
        work.process.send_signal(signal.SIGINT)
        assert work.end()[0] == 130


def test_what_ends_ends_where_its_stop_file_cannot_be_taken_away(tmp_path):
    (tmp_path / "deaf").touch()
    (tmp_path / "stop").mkdir()
    work = Work(tmp_path)
    work.process.send_signal(signal.SIGTERM)
    assert "a second SIGTERM ends it at once" in work.process.stderr.readline()
    work.process.send_signal(signal.SIGTERM)
    assert work.end() == (143, "work: ended by SIGTERM; the same command continues\n")


def test_sigkill_takes_the_command_along(tmp_path):
    work = Work(tmp_path)
    (child,) = psutil.Process(work.process.pid).children()[:1]
    work.process.kill()
    work.process.wait(timeout=60)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()
    os.kill(work.daemon, signal.SIGKILL)  # Ray's own end with their parent, this one does not


def test_a_command_that_is_killed_is_named(tmp_path):
    work = Work(tmp_path)
    child = next(p for p in psutil.Process(work.process.pid).children() if p.pid != work.daemon)
    child.kill()
    assert work.end() == (137, "work: the process died of SIGKILL; the same command continues\n")


@pytest.mark.parametrize("how", ["short", "forks"])
@pytest.mark.parametrize(("status", "expected"), [(1, 1), (7, 7), (0, 1)])
def test_a_command_that_a_function_ends_without_a_word_is_told_of(tmp_path, how, status, expected):
    (tmp_path / how).touch()
    work = Work(tmp_path, status)
    (tmp_path / "go").touch()
    told = f"the process ended itself with status {status}, as os._exit() in a function of yours does"
    assert work.end() == (expected, f"work: {told}; the same command continues\n")


def test_a_command_that_has_said_why_it_ends_is_left_its_words(tmp_path):
    (tmp_path / "raises").touch()
    work = Work(tmp_path)
    (tmp_path / "go").touch()
    status, text = work.end()
    assert status == 1 and text.endswith("ValueError: told\n") and "ended itself" not in text
