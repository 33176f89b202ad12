"""Run functions in worker processes under a hard time limit, from any number of threads.

A process is the only thing that can be stopped in the middle of a C-level computation (a huge
integer power holds the interpreter and ignores Python's signal handlers), and verl scores
responses in a thread pool, where SIGALRM is not available. So a function runs in a worker that
is killed at the limit; the next call gets a fresh worker. Workers come from a fork server that
has already imported the heavy modules, which makes replacing one a matter of milliseconds.

Three further guards: a worker's memory is capped, so that a runaway answer meets a MemoryError
before the machine's out-of-memory killer wakes; a worker kills itself some seconds after its
limit, so that it cannot outlive a parent that was itself killed; and no call waits for ever.

The fork server listens at a socket in the temporary folder, whose path may have some 100 characters. With a longer
TMPDIR the socket gets a folder of its own elsewhere.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import Any

from pebble import ProcessExpired, ProcessPool

from verl_dots.rewards.limits import limit_memory

logger = logging.getLogger(__name__)

MEMORY_LIMIT_GIBIBYTES = 4.0
ORPHAN_GRACE_SECONDS = 10.0
START_GRACE_SECONDS = 60.0
MAX_ATTEMPTS = 3
LONGEST_FOLDER = 70  # characters; a socket's path has 107 at most, 32 of them below the folder
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")

_START_LOCK = threading.Lock()
_start_failure: str | None = None  # in a worker: what its preparation raised


class WorkerStartError(RuntimeError):
    """A worker process cannot be started, or cannot import what it needs; the message holds the cause."""


@dataclass(frozen=True)
class Outcome:
    """The result of one call: `value` if `failure` is None, otherwise the reason in words."""

    value: Any = None
    failure: str | None = None


class WorkerPool:
    """At most `workers` processes, started on the first call and reused until `close`.

    Args:
        workers: processes kept, at least 1. Calls beyond that many wait their turn.
        modules: importable modules a worker loads before its first call, so that the time
            limit covers the call alone.
    """

    def __init__(self, workers: int, modules: tuple[str, ...] = ()) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}; at least 1 worker process is needed.")
        self._workers = workers
        self._modules = modules
        self._slots = threading.BoundedSemaphore(workers)  # a scheduled call starts at once
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        atexit.register(self.close)

    def run(self, function: Callable[..., Any], *args: Any, limit_seconds: float) -> Outcome:
        """Call `function(*args)` in a worker and wait for it, `limit_seconds` at most.

        A call that runs past the limit, raises, or takes its worker down with it gives an
        Outcome with `failure` set; the pool continues. `function`, `args` and the value must
        be picklable, and `function` importable by name.

        Raises:
            ValueError: limit_seconds is not positive.
            WorkerStartError: workers could not be started.
        """
        if not limit_seconds > 0:
            raise ValueError(f"limit_seconds is {limit_seconds}; give a positive number of seconds.")
        with self._slots:
            for _ in range(MAX_ATTEMPTS):
                pool = self._current()
                outcome = self._attempt(pool, function, args, limit_seconds)
                if outcome is not None:
                    return outcome
                self._discard(pool)
        raise WorkerStartError(
            f"worker processes died {MAX_ATTEMPTS} times before a call could start: {_start_problem(self._modules)}. "
            f"Check that {', '.join(self._modules) or 'the main module'} can be imported in a fresh process, that "
            f"temporary files can be written in {tempfile.gettempdir()} (TMPDIR), that a script which grades does so "
            "below `if __name__ == '__main__':`, and that the machine has memory and process slots left."
        )

    def close(self) -> None:
        """Stop the workers, running calls included. The next `run` starts fresh ones."""
        pool = self._pool
        if pool is not None:
            self._discard(pool)

    def _attempt(self, pool: ProcessPool, function: Callable, args: tuple, limit: float) -> Outcome | None:
        """Run one call on `pool`; None means that the pool itself broke and the call should be repeated."""
        try:
            future = pool.schedule(_call, args=(function, args, limit), timeout=limit)
            error = future.exception(timeout=limit + START_GRACE_SECONDS)
        except RuntimeError:  # the pool broke, or another thread is replacing it
            return None
        except FutureTimeoutError:
            if pool is self._pool:
                self._discard(pool)
                return Outcome(failure=f"no reply within {limit + START_GRACE_SECONDS:g} s")
            return None
        if error is None:
            return Outcome(value=future.result())
        if isinstance(error, BrokenProcessPool):
            return None
        if isinstance(error, WorkerStartError):
            raise error
        return Outcome(failure=_describe(error, limit))

    def _current(self) -> ProcessPool:
        with self._lock:
            if self._pool is None:
                context = _context(self._modules)
                self._pool = ProcessPool(
                    max_workers=self._workers,
                    initializer=_prepare_worker,
                    initargs=(self._modules,),
                    context=context,
                )
            return self._pool

    def _discard(self, pool: ProcessPool) -> None:
        with self._lock:
            if pool is not self._pool:
                return
            self._pool = None
            pool.stop()
            pool.join()


def _context(modules: tuple[str, ...]) -> BaseContext:
    """How processes start: from a fork server, or one by one where it cannot listen at a socket."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    try:
        with _START_LOCK, _short_temporary_folder():
            forkserver.ensure_running()
    except OSError as error:
        logger.warning("The fork server cannot start (%s); workers start one by one, which takes longer.", error)
        return multiprocessing.get_context("spawn")
    return context


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """A temporary folder whose path leaves room for a socket's name."""
    before = tempfile.tempdir
    if len(tempfile.gettempdir()) > LONGEST_FOLDER:
        folders = [folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK)]
        tempfile.tempdir = folders[0] if folders else before
    try:
        yield
    finally:
        tempfile.tempdir = before


def _start_problem(modules: tuple[str, ...]) -> str:
    """What keeps a process from starting, found by starting one here."""
    try:
        process = _context(modules).Process(target=_prepare_worker, args=(modules,))
        process.start()
        process.join(START_GRACE_SECONDS)
    except (OSError, EOFError, RuntimeError, ValueError) as error:
        return f"starting one raised {type(error).__name__}: {error}"
    if process.exitcode is None:
        process.kill()
        return f"one did not start within {START_GRACE_SECONDS:g} s"
    return "one alone starts" if process.exitcode == 0 else f"one alone {_exit(process.exitcode)}"


def _exit(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"died with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hint = "; the machine may have run out of memory" if -code == signal.SIGKILL else ""
    return f"died of {name}{hint}"


def _describe(error: BaseException, limit: float) -> str:
    if isinstance(error, FutureTimeoutError):
        return f"took longer than {limit:g} s"
    if isinstance(error, ProcessExpired):
        return f"its worker process {_exit(error.exitcode)}"
    return f"raised {type(error).__name__}: {error}"


def _prepare_worker(modules: tuple[str, ...]) -> None:
    """Runs once in each worker. What it raises is kept for the first call to tell."""
    global _start_failure
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a Python handler would wait for the C call to end
    limit_memory(MEMORY_LIMIT_GIBIBYTES)
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError, ValueError, AttributeError, SyntaxError, MemoryError) as error:
            _start_failure = f"importing {module} raised {type(error).__name__}: {error}"
            return


def _call(function: Callable, args: tuple, limit: float) -> Any:
    """Runs in a worker: the alarm is only for a worker whose parent is gone."""
    if _start_failure is not None:
        raise WorkerStartError(f"a worker process cannot start: {_start_failure}")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit + ORPHAN_GRACE_SECONDS)
    value = function(*args)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    return value
