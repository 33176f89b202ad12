"""Whether verl's code reward accepts a program, asked of processes that differ in the seed of Python's hashes.

The order of a set of strings follows that seed, so a program that returns such an order is right in one process and
wrong in the next. The seeds here are fixed: the answers do not depend on the process that asks. Each process imports
verl once and answers until its input ends. They execute the programs on this machine, as training executes a model's:
with limits of time, memory and written files, and without the secrets of the environment, but not in a sandbox.
"""

import atexit
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from data_prep.problems import SourceError
from verl_dots.rewards.limits import limit_memory
from verl_dots.secrets import without_secrets

HASH_SEEDS = (1, 2)
ROOT = Path(__file__).parents[1]
START_SECONDS = 600.0  # of a process, which imports verl
ANSWER_SECONDS = 120.0  # of one program with all its tests; verl gives each test some seconds
MEMORY_GIBIBYTES = 4.0
FILE_BYTES = 1 << 26  # that a program may write into one file


def accepted(data_source: str, response: str, truth: str) -> tuple[bool, ...]:
    """Whether verl's reward gives the full score to a response, for each of `HASH_SEEDS`; False where it hangs.

    Raises:
        SourceError: a process ended.
    """
    checkers = _checkers()
    question = json.dumps([data_source, response, truth])
    try:
        with _in_time(checkers, ANSWER_SECONDS) as overdue:
            for checker in checkers:
                checker.stdin.write(f"{question}\n")
                checker.stdin.flush()
            return tuple(json.loads(checker.stdout.readline()) for checker in checkers)
    except (OSError, ValueError) as error:
        _checkers.cache_clear()
        if overdue.is_set():
            return tuple(False for _ in checkers)
        raise SourceError(
            f"a process that runs reference solutions ended ({error}); see its message above, or keep all solutions "
            "unchecked with --no-check",
            key="--no-check",
            reason="machine",
        ) from error


@contextlib.contextmanager
def _in_time(checkers: Sequence["subprocess.Popen[str]"], seconds: float) -> Iterator[threading.Event]:
    """End the processes that have not answered in time, with what they have started; whether that was so."""
    overdue = threading.Event()

    def end() -> None:
        overdue.set()
        for checker in checkers:
            _end(checker)

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield overdue
    finally:
        timer.cancel()


def _end(checker: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(checker.pid, signal.SIGKILL)  # it leads a group of its own


def _limit() -> None:
    """Of this process and the programs, which it starts."""
    limit_memory(MEMORY_GIBIBYTES)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@cache
def _checkers() -> tuple[subprocess.Popen[str], ...]:
    """A process for each seed, all started at once; they end with this one."""
    checkers = tuple(_start(seed) for seed in HASH_SEEDS)
    with _in_time(checkers, START_SECONDS):
        for checker in checkers:
            checker.stdout.readline()  # it has begun, or ended: the first question tells
    return checkers


def _start(seed: int) -> "subprocess.Popen[str]":
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # -P: the folder of this file has a math.py, which must not stand for Python's.
    checker = subprocess.Popen(
        [sys.executable, "-P", "-m", "data_prep.reference_check"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=without_secrets(os.environ) | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": path},
        start_new_session=True,  # an interrupt at the terminal is for the process that asks
    )
    atexit.register(_end, checker)
    return checker


def serve(questions: IO[str], answers: IO[str]) -> None:
    """Answer each line [data_source, response, truth] with true or false, after an empty line once this can be done."""
    from verl.utils.reward_score import default_compute_score  # heavy: imported only when needed

    answers.write("\n")
    answers.flush()
    for line in questions:
        right = default_compute_score(*json.loads(line)) == 1.0
        answers.write(f"{json.dumps(bool(right))}\n")
        answers.flush()


if __name__ == "__main__":
    _limit()
    found = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed must not stand among the answers
    place = found.fileno()
    os.register_at_fork(after_in_child=lambda: os.closerange(place, place + 1))  # not for the programs, alive or stuck
    serve(sys.stdin, found)
