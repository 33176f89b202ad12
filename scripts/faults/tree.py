"""The processes of a run: which there are, what each is doing, and what is left of them.

This process becomes the parent of all that lose theirs (`adopt`), so that what a killed run leaves behind is below it.
Ray names its processes after the method that they run: `ray::WorkerDict.actor_rollout_update_actor`.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from verl_dots.guard import adopt_orphans

# What can be killed alone, by a part of its name.
ROLES = {
    "driver": "verl_dots.main",
    "task runner": "ray::TaskRunner",
    "worker": "ray::WorkerDict",
    "engine": "ray::EngineServer",
    "agent loop": "ray::SeededAgentLoopWorker",
    "difficulty worker": "ray::DifficultyWorker",
    "queue": "ray::TransferQueueController",
    "storage": "ray::SimpleStorageUnit",
    "raylet": "/raylet/raylet ",
}
# What was below this process before any run: it is not theirs, nor are the processes that it makes.
_there_before: set[psutil.Process] = set()
LOOK_EVERY_SECONDS = 0.5  # for new processes: a look costs some milliseconds


def title(pid: int) -> str:
    """A process's name at this moment; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def leave_alone() -> None:
    """From now on take what is below this process for somebody else's."""
    _there_before.update(below())


def below(pid: int | None = None) -> list[psutil.Process]:
    """All of the runs that live below a process; this one if none is given."""
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(pid).children(recursive=True)
    spared = set(_there_before)
    for process in _there_before:
        with contextlib.suppress(psutil.NoSuchProcess):
            spared.update(process.children(recursive=True))
    return [process for process in found if process not in spared and alive(process)]


def alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Tree:
    """Of one launch.

    Args:
        pid: of the command.
    """

    def __init__(self, pid: int):
        adopt_orphans()
        self.pid = pid
        self._of: dict[str, list[int]] = {}
        self._looked = 0.0

    def pids(self, role: str) -> list[int]:
        """Of a role: the command, a role of ROLES, or the node, which is all processes of the run."""
        if role == "command":
            return [self.pid]
        if role == "node":
            return [self.pid, *(process.pid for process in below(self.pid))]
        if not self._of.get(role) and time.monotonic() - self._looked > LOOK_EVERY_SECONDS:
            self._looked = time.monotonic()
            titles = {process.pid: title(process.pid) for process in below(self.pid)}
            self._of = {
                name: [pid for pid, text in titles.items() if part in text and "warm_workers" not in text]
                for name, part in ROLES.items()
            }
        return self._of.get(role, [])

    def does(self, role: str) -> str:
        """What a process of a role is doing, by its name; empty where there is none."""
        for pid in self.pids(role):
            if text := title(pid):
                return text
            self._of.pop(role)  # it has ended
            break
        return ""

    def computed(self, role: str) -> float:
        """Seconds that the main thread of a role, which does what an actor is asked, has computed; 0 without it."""
        for pid in self.pids(role):
            with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended
                return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9
        return 0.0

    def kill(self, role: str) -> list[str]:
        """Send SIGKILL to a role; the names of what was killed."""
        names = []
        for pid in self.pids(role):
            names.append(title(pid)[:80])
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if role == "node":
            end_all(below())
        return names


def end_all(processes: Iterable[psutil.Process]) -> None:
    """Kill them and all below this process, until none is left."""
    left = list(processes)
    while left:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.02)
        left = below()


def forget_ended(command: int) -> None:
    """Let the kernel forget orphans that have ended, but for the command: its status is for who waits for it."""
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            own = process.pid != command and process not in _there_before
            if own and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)


class Survivors:
    """What lives on once a command has ended, watched while the next launch begins.

    Args:
        processes: of the launch that has ended.
        limit: seconds until all of it must have ended by itself; then it is killed.
    """

    def __init__(self, processes: Iterable[psutil.Process], limit: float):
        self._processes, self._limit = list(processes), limit
        self.first = [self._name(process) for process in self._processes]
        self.left: list[str] = []
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def wait(self) -> list[str]:
        """Names of what did not end in time."""
        self._thread.join(2 * self._limit)
        return self.left

    def _watch(self) -> None:
        began = time.monotonic()
        while living := [process for process in self._processes if alive(process)]:
            self.seconds = time.monotonic() - began
            if self.seconds > self._limit:
                self.left = [self._name(process) for process in living]
                for process in living:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
                return
            time.sleep(0.1)

    @staticmethod
    def _name(process: psutil.Process) -> str:
        return title(process.pid)[:80] or f"process {process.pid}"


def waits_for(processes: Iterable[psutil.Process], read: Callable[[int], str] = title) -> list[str]:
    """What each process is doing and where the kernel has it wait: evidence of a hang."""
    lines = []
    for process in processes:
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            where = Path(f"/proc/{process.pid}/wchan").read_text()
            lines.append(f"{process.pid} {process.status()} {where}: {read(process.pid)[:120]}")
    return lines
