"""Mathematical equality of a response's final answer and the ground truth, in bounded time.

math-verify does the comparison. Its own time limit needs SIGALRM and so the main thread, while
verl scores responses in a thread pool; it therefore runs in worker processes (`worker_pool`)
that are killed at the limit. An answer that cannot be compared in time is wrong.
"""

from __future__ import annotations

import logging
import os
import re
import threading

from verl_dots.rewards import grading
from verl_dots.rewards.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_SECONDS = 5.0
DEFAULT_WORKERS = 2
TAIL_CHARACTERS = 4096

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_POOLS: dict[tuple[int, int], WorkerPool] = {}
_POOLS_LOCK = threading.Lock()


def score(
    response: str,
    ground_truth: str,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    workers: int = DEFAULT_WORKERS,
) -> float:
    r"""Return 1.0 if the response's final answer equals the ground truth, else 0.0.

    The answer is the last complete `\boxed{...}`, or without one what math-verify finds in the
    text. Only the last 4096 characters of a response are read. `ground_truth` may be LaTeX or
    plain, boxed, between dollars or bare. Safe to call from many threads.

    An answer that equals the ground truth as text is correct without asking math-verify.

    Args:
        timeout_seconds: limit for one answer, in seconds; at the limit the answer is wrong and
            a warning is logged. Waiting for a free worker does not count.
        workers: worker processes of this Python process, shared by all its threads.

    Raises:
        ValueError: timeout_seconds or workers is not positive.
        RuntimeError: no worker process can be started (math-verify not installed, say).
    """
    text = response[-TAIL_CHARACTERS:]
    if not text.strip():
        return 0.0
    boxed = grading.last_boxed(text)
    if boxed and grading.as_formula(boxed) == grading.ground_truth_formula(ground_truth):
        return 1.0
    outcome = _pool(workers).run(grading.grade, text, ground_truth, limit_seconds=timeout_seconds)
    if outcome.failure is not None:
        shown = text[-200:] if boxed is None else boxed[:200]
        logger.warning("Answer %r scored 0: comparing it with %r %s.", shown, ground_truth, outcome.failure)
        return 0.0
    if outcome.value is grading.Verdict.UNREADABLE_GROUND_TRUTH:
        logger.warning("Ground truth %r cannot be read by math-verify; no answer to it can score.", ground_truth)
    return float(outcome.value is grading.Verdict.CORRECT)


def readable(
    ground_truth: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS, workers: int = DEFAULT_WORKERS
) -> bool:
    """Whether math-verify can read a ground truth, in time; one that it cannot is matched as text alone.

    Plain numbers are readable without asking it. Errors as in `score`.
    """
    if _NUMBER.fullmatch(ground_truth.strip()):
        return True
    outcome = _pool(workers).run(grading.readable, ground_truth, limit_seconds=timeout_seconds)
    return outcome.failure is None and outcome.value


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
            _POOLS[key] = WorkerPool(workers, modules=("math_verify", grading.__name__))
        return _POOLS[key]
