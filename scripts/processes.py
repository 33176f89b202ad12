"""CPU seconds of a run's processes, by what they do, read while it runs."""

import threading
from collections import Counter
from typing import Self

import psutil

LAST_LOOK_SECONDS = 2.0  # that one may still take
EVERY_SECONDS = 0.2
# Names of Ray's processes, as `ps` shows them, and what they do in a run.
ROLES = {
    "DotsTaskRunner": "trainer",
    "WorkerDict": "actor worker",
    "EngineServer": "engine",
    "AgentLoopWorker": "agent loops",
    "RewardLoopWorker": "rewards",
    "LoadBalancer": "load balancer",
    "TransferQueue": "transfer queue",
    "StorageUnit": "transfer queue",
    "DifficultyWorker": "difficulty",
    "warm_workers": "warm process",
    "verl_dots.main": "command",
    "IDLE": "idle workers",
}


def role_of(command: str) -> str:
    """What a process does, by its command line."""
    for name, role in ROLES.items():
        if name in command:
            return role
    return "Ray" if "ray" in command else "other"


def with_all_below(top: psutil.Process) -> list[psutil.Process]:
    """A process and all below it; none where it has ended."""
    try:
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class Sampler:
    """Looks again and again in a thread of its own, from `with` to the end of it.

    Args:
        every: seconds between two looks.
    """

    def __init__(self, every: float):
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(LAST_LOOK_SECONDS)

    def _watch(self) -> None:
        while not self._ended.wait(self._every):
            self._look()

    def _look(self) -> None:
        raise NotImplementedError


class Processes(Sampler):
    """Samples a process and all below it.

    Args:
        pid: of the process at the top.
    """

    def __init__(self, pid: int):
        super().__init__(EVERY_SECONDS)
        self._top = psutil.Process(pid)
        self._seen: dict[int, tuple[str, float]] = {}  # what a process was last, and its CPU seconds
        self._lock = threading.Lock()

    def seconds(self) -> Counter[str]:
        """CPU seconds so far of each role, of processes that have ended, too."""
        found: Counter[str] = Counter()
        with self._lock:
            for role, seconds in self._seen.values():
                found[role] += seconds
        return found

    def _look(self) -> None:
        for process in with_all_below(self._top):
            try:
                times, command = process.cpu_times(), " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            with self._lock:
                self._seen[process.pid] = (role_of(command), times.user + times.system)
