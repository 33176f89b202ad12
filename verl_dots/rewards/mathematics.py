"""Mathematical equality of a response's final answer and the ground truth, in bounded time.

`grading` does the comparison. A hostile answer can keep it busy for ever, in one operation that ignores signals, and
verl scores responses in a thread pool; so it runs in worker processes (`worker_pool`) that are killed at the limit. An
answer that cannot be compared in time is wrong.
"""

from __future__ import annotations

import logging
import os
import re
import threading

from verl_dots.rewards import grading, neutral, problems
from verl_dots.rewards.text.final_answer import bare, boxed_answer
from verl_dots.rewards.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_SECONDS = 5.0
DEFAULT_WORKERS = 2
TAIL_CHARACTERS = 4096
MOST_CHARACTERS = TAIL_CHARACTERS - len(r"\boxed{}")

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_CONTENT = re.compile(r"(?<![\\A-Za-z])[A-Za-z]*\d|(?<![\\A-Za-z])[A-Za-z]")  # a digit or letter that is no command's
_POOLS: dict[tuple[int, int], WorkerPool] = {}
_POOLS_LOCK = threading.Lock()


def score(
    response: str,
    ground_truth: str,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    workers: int = DEFAULT_WORKERS,
    measured: bool = False,
) -> float:
    r"""Return 1.0 if the response's final answer equals the ground truth, else 0.0.

    The answer is the last complete `\boxed{...}` (several joined by commas or "and" are one list), or without one what
    stands behind "the answer is", or the last formula or number. Only the last 4096 characters of a response are read.
    `ground_truth` may be LaTeX or plain, boxed, between dollars or bare. Safe to call from many threads.

    An answer that equals the ground truth as text is correct without asking a worker.

    Args:
        timeout_seconds: limit for one answer, in seconds; at the limit the answer is wrong and
            a warning is logged. Waiting for a free worker does not count.
        workers: worker processes of this Python process, shared by all its threads.
        measured: whether the numbers are measurements, equal within 1e-4, relatively; see `comparing.tolerance`.

    Raises:
        ValueError: timeout_seconds or workers is not positive.
        RuntimeError: no worker process can be started.
    """
    text = response[-TAIL_CHARACTERS:]
    if not text.strip():
        return 0.0
    boxed = boxed_answer(text.rpartition("</think>")[2])
    if boxed and bare(boxed) == bare(grading.ground_truth_answer(ground_truth)) and _CONTENT.search(boxed):
        return 1.0
    outcome = _pool(workers).run(grading.grade, text, ground_truth, measured, limit_seconds=timeout_seconds)
    if outcome.failure is not None:
        shown = text[-200:] if boxed is None else boxed[:200]
        logger.warning("Answer %r scored 0: comparing it with %r %s.", shown, ground_truth, outcome.failure)
        return 0.0
    if outcome.value is grading.Verdict.UNREADABLE_GROUND_TRUTH:
        logger.warning("Ground truth %r cannot be read; no answer to it can score.", ground_truth)
    return float(outcome.value is grading.Verdict.CORRECT)


def answer_problem(
    ground_truth: str,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    workers: int = DEFAULT_WORKERS,
    measured: bool = False,
) -> tuple[str, str] | None:
    """Why right responses may score 0 against a ground truth, or None; see `neutral.problem`.

    Plain numbers have no problem, unless they are too long. Errors as in `score`.
    """
    if (characters := len(bare(grading.ground_truth_answer(ground_truth)))) > MOST_CHARACTERS:
        text = f"the answer {ground_truth!r:.80} has {characters:,} characters; of a response the last"
        return problems.UNREADABLE, f"{text} {TAIL_CHARACTERS:,} are read, which cannot hold it in a box"
    if _NUMBER.fullmatch(ground_truth.strip()):
        return None
    outcome = _pool(workers).run(neutral.problem, ground_truth, measured, limit_seconds=timeout_seconds)
    if outcome.failure is not None:
        return (
            problems.UNREADABLE,
            f"the reward cannot read the answer {ground_truth!r:.80}: reading it {outcome.failure}",
        )
    return outcome.value


def close() -> None:
    """Stop this process's workers. They also stop by themselves when the process exits."""
    with _POOLS_LOCK:
        pools = [_POOLS.pop(key) for key in list(_POOLS) if key[0] == os.getpid()]
    for pool in pools:
        pool.close()


def _pool(workers: int) -> WorkerPool:
    """Return this process's pool; a forked child must not use its parent's."""
    key = (os.getpid(), workers)
    with _POOLS_LOCK:
        if key not in _POOLS:
            _POOLS[key] = WorkerPool(workers, modules=(neutral.__name__, "math_verify"))
        return _POOLS[key]
