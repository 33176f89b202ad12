"""Whether verl's code reward accepts a program, asked of processes that differ in the seed of Python's hashes.

The order of a set of strings follows that seed, so a program that returns such an order is right in one process and
wrong in the next. The seeds here are fixed: the answers do not depend on the process that asks. Each process imports
verl once and answers until its input ends. They execute the programs on this machine, as training executes a model's.
"""

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import IO

from data_prep.problems import SourceError

HASH_SEEDS = (1, 2)
ROOT = Path(__file__).parents[1]


def accepted(data_source: str, response: str, truth: str) -> tuple[bool, ...]:
    """Whether verl's reward gives the full score to a response, for each of `HASH_SEEDS`.

    Raises:
        SourceError: a process ended.
    """
    checkers = _checkers()
    question = json.dumps([data_source, response, truth])
    try:
        for checker in checkers:
            checker.stdin.write(f"{question}\n")
            checker.stdin.flush()
        return tuple(json.loads(checker.stdout.readline()) for checker in checkers)
    except (OSError, ValueError) as error:
        _checkers.cache_clear()
        raise SourceError(
            f"a process that runs reference solutions ended ({error}); see its message above, or keep all solutions "
            "unchecked with --no-check",
            key="--no-check",
            reason="machine",
        ) from error


@cache
def _checkers() -> tuple[subprocess.Popen[str], ...]:
    """A process for each seed, all started at once; they end with this one."""
    return tuple(_start(seed) for seed in HASH_SEEDS)


def _start(seed: int) -> "subprocess.Popen[str]":
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # -P: the folder of this file has a math.py, which must not stand for Python's.
    checker = subprocess.Popen(
        [sys.executable, "-P", "-m", "data_prep.reference_check"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": path},
        start_new_session=True,  # an interrupt at the terminal is for the process that asks
    )
    atexit.register(checker.kill)
    return checker


def serve(questions: IO[str], answers: IO[str]) -> None:
    """Answer each line [data_source, response, truth] with true or false."""
    from verl.utils.reward_score import default_compute_score  # heavy: imported only when needed

    for line in questions:
        right = default_compute_score(*json.loads(line)) == 1.0
        answers.write(f"{json.dumps(bool(right))}\n")
        answers.flush()


if __name__ == "__main__":
    found = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed must not stand among the answers
    place = found.fileno()
    os.register_at_fork(after_in_child=lambda: os.closerange(place, place + 1))  # not for the programs, alive or stuck
    serve(sys.stdin, found)
