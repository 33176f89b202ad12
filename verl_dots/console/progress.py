"""What a run tells before its first step: lines of its log that the console shows, too, now and then."""

import re
import time
from collections.abc import Callable

from verl_dots.terminal import PROGRESS

SHOWN_EVERY = 60.0  # seconds
# Ray puts the process in front: "(DifficultyWorker pid=12) ".
_LINE = re.compile(rf"^(?:.*\) )?{PROGRESS}(.+)$", re.MULTILINE)


class Progress:
    """Finds lines of progress in a log.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._shown = -SHOWN_EVERY

    def feed(self, text: str) -> list[str]:
        """Take in the next part of the log: the last line of progress in it, unless one was shown in this minute."""
        found = _LINE.findall(text)
        if not found or self._clock() - self._shown < SHOWN_EVERY:
            return []
        self._shown = self._clock()
        return found[-1:]
