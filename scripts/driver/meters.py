"""Seconds and bytes of named parts of a process and of processes beside it."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from scripts.processes import Sampler

EVERY_SECONDS = 0.02
PAGE = 4096
AWAY = "workers"  # time of the workers, which is no part of the driver's
# Passes over all objects of the driver. Which stage is under way then is chance.
COLLECTION, OLDEST = "garbage collection", 2


def held_bytes(pid: int) -> int:
    """Resident bytes of a process alone: without what it shares, the pages of files and of Ray's store."""
    _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(resident) - int(shared)) * PAGE


def cpu_seconds(pid: int) -> float:
    """Of a process, threads that have ended among them, to the nanosecond; OSError where it has ended.

    The clock is that of `clock_getcpuclockid` on Linux. /proc counts in hundredths, which is too coarse for a stage.
    """
    return time.clock_gettime((~pid << 3) | 2)


@dataclass
class Part:
    """What a stage took in one step, without the stages within it.

    Attributes:
        wall, driver_cpu, queue_cpu: seconds.
        driver_peak, queue_peak: greatest bytes while it ran.
        driver_kept: bytes that the driver had more after it than before, with the stages within it.
    """

    wall: float = 0.0
    driver_cpu: float = 0.0
    queue_cpu: float = 0.0
    driver_peak: int = 0
    queue_peak: int = 0
    driver_kept: int = 0


class Meters(Sampler):
    """Accounts for this process, the driver, and for those of the queue.

    Args:
        driver, queue: their processes.

    Attributes:
        parts: stage -> what it has taken since `take` was called last.
    """

    def __init__(self, driver: int, queue: Sequence[int]):
        super().__init__(EVERY_SECONDS)
        self.driver, self.queue = driver, queue
        self.parts: dict[str, Part] = {}
        self._stack: list[Part] = []
        self._pass_began = self._passes = 0.0, 0.0  # wall and CPU seconds
        self._last = self._clocks()

    def __enter__(self) -> Self:
        gc.callbacks.append(self._collected)
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        gc.callbacks.remove(self._collected)

    def _clocks(self) -> tuple[float, float, float]:
        """Seconds of wall and CPU of the driver without its collector's passes, and of the queue's CPU."""
        wall, cpu = self._passes
        return time.perf_counter() - wall, cpu_seconds(self.driver) - cpu, sum(map(cpu_seconds, self.queue))

    def _settle(self) -> None:
        """Give what has passed to the innermost stage."""
        now = self._clocks()
        if self._stack:
            part = self._stack[-1]
            part.wall += now[0] - self._last[0]
            part.driver_cpu += now[1] - self._last[1]
            part.queue_cpu += now[2] - self._last[2]
        self._last = now

    def _collected(self, moment: str, about: dict[str, Any]) -> None:
        """Account a pass of Python's collector over all objects for itself, in whatever thread it falls."""
        if about["generation"] < OLDEST:
            return
        now = time.perf_counter(), time.thread_time()
        if moment == "start":
            self._pass_began = now
            return
        wall, cpu = (end - start for start, end in zip(self._pass_began, now, strict=True))
        self._passes = self._passes[0] + wall, self._passes[1] + cpu
        if self._stack:
            part = self.parts.setdefault(COLLECTION, Part())
            part.wall += wall
            part.driver_cpu += cpu
            self._see(part)

    def _look(self) -> None:
        if self._stack:
            self._see(self._stack[-1])

    def _see(self, part: Part) -> None:
        part.driver_peak = max(part.driver_peak, held_bytes(self.driver))
        part.queue_peak = max(part.queue_peak, sum(map(held_bytes, self.queue)))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Account what runs within to a stage, but for what stages within it take."""
        self._settle()
        before = held_bytes(self.driver)
        part = self.parts.setdefault(name, Part())
        self._stack.append(part)
        try:
            yield
        finally:
            self._settle()
            self._look()
            self._stack.pop()
            part.driver_kept += held_bytes(self.driver) - before

    def away(self):
        """For as long as workers compute."""
        return self.stage(AWAY)

    def take(self) -> dict[str, Part]:
        """The parts so far, which begin anew."""
        taken, self.parts = self.parts, {}
        return taken

    def wrap(self, owner: object, names: Mapping[str, str]) -> None:
        """Account calls of methods of an object or a class: method -> stage."""
        for method, stage in names.items():
            setattr(owner, method, self._wrapped(getattr(owner, method), stage))

    def _wrapped(self, function: Callable, stage: str) -> Callable:
        def accounted(*args, **kwargs):
            with self.stage(stage):
                return function(*args, **kwargs)

        return accounted
