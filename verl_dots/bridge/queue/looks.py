"""When the trainer looks at the TransferQueue for rollouts: seldom while they are made, at once when all have ended.

A look lists every row that is in the queue, which keeps the trainer and the queue's controller busy, and with them the
cores that the rollouts need.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SHARE = 0.1  # of the time that looking may take
LONGEST_SECONDS = 2.0  # of a pause that this makes


def rollouts_text(ended: int, left: int) -> str:
    """So many groups of rollouts have ended, so many others are waited for."""
    return f"rollouts: {ended} groups are there, {left} are with the engine or the reward"


class Looks:
    """Looks for rollouts, and the pauses between them.

    Args:
        seconds: of a pause, `dots.poll_seconds`; more where a look takes long.
        news: called with what is there and what is waited for, where that has changed.
        longest: seconds of a pause at most, unless `seconds` are more.
    """

    def __init__(self, seconds: float, news: Callable[[str], None], longest: float = LONGEST_SECONDS):
        self.seconds, self.longest, self._news = seconds, longest, news
        # Returns after so many seconds, or as soon as the rollouts that were asked for last have ended.
        self.rest: Callable[[float], None] = time.sleep
        self._took = 0.0
        self._seen: tuple | None = None

    def begin(self) -> None:
        """Other rollouts are waited for from now on: what is there of them is news."""
        self._seen = None

    @contextmanager
    def look(self) -> Iterator[None]:
        """For as long as a look takes."""
        began = time.perf_counter()
        yield
        self._took = time.perf_counter() - began

    def pause(self, ended: int, left: int, *more: Any) -> None:
        """Rest before the next look.

        Args:
            ended, left: groups that are there, and that are waited for.
            more: what else the look has seen; it is news where any of this has changed.
        """
        if self._seen != (seen := (ended, left, *more)):
            self._seen = seen
            self._news(rollouts_text(ended, left))
        seldom = min(self.longest, self._took * (1 - SHARE) / SHARE)
        self.rest(max(self.seconds, seldom))


def look_with(buffer: Any, looks: Looks) -> None:
    """Have verl's replay buffer look for rollouts when `looks` says so.

    Args:
        buffer: verl's; a sampler of the user's that waits in another way may wait its `poll_interval`, `looks.seconds`.
        looks: of the trainer.
    """
    buffer.poll_interval = looks.seconds
    if not hasattr(buffer, "_wait_for_next_poll"):
        return
    list_all, wait = buffer._sync_metadata_from_transfer_queue, buffer._wait_for_next_poll

    def listed() -> None:
        with looks.look():
            list_all()

    def wait_and_tell(partition: str, last: float) -> float:
        ended = len(buffer.finished_keys[partition]) + len(buffer.failure_keys[partition])
        left = len(buffer.pending_keys[partition]) + len(buffer.running_keys[partition])
        looks.pause(ended, left, partition, len(buffer.partitions[partition]))
        buffer.poll_interval = 0.0  # it has rested
        try:
            return wait(partition, last)
        finally:
            buffer.poll_interval = looks.seconds

    buffer._sync_metadata_from_transfer_queue, buffer._wait_for_next_poll = listed, wait_and_tell
