"""Waits of the trainer that end: what is waited for is told, and a run that stands still does not stand for ever.

verl and Ray wait without limits: for workers to start, for rollouts, for what the actor computes. A timer of the kernel
interrupts whatever this process's main thread waits in; Ray lets such an interrupt through as it does Ctrl-C.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

ADVICE = "raise dots.patience_seconds if it takes longer than that"


class WaitError(RuntimeError):
    """Something was waited for too long; the message says what, how long, and how to wait longer."""


class Patience:
    """Ends waits without news.

    Args:
        seconds: that may pass without news.
        advice: how to have more; the message ends with it.
    """

    def __init__(self, seconds: float, advice: str):
        self.seconds, self.advice = seconds, advice
        self._waits: list[str] = []  # the innermost last
        self._expired: str | None = None

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """For as long as this thread waits for something; it may be a part of another wait.

        The beginning and the end of a part are news. Another than the main thread, which no signal reaches, waits
        without a limit.

        Raises:
            WaitError: there was no news for too long.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handler, timer = signal.signal(signal.SIGALRM, self._end), self._begin()
        self._waits.append(what)
        try:
            yield
        except KeyboardInterrupt as error:
            told, self._expired = self._expired, None
            if told is None:
                raise
            raise WaitError(f"waited {self.seconds:g} s for {told}; {self.advice}") from error
        finally:
            self._waits.pop()
            if self._waits:
                self._begin()
            else:
                signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)

    def news(self, what: str | None = None) -> None:
        """What is waited for comes on; the time begins anew.

        Args:
            what: is waited for from now on; None where that is still the same.
        """
        if self._waits and threading.current_thread() is threading.main_thread():
            self._waits[-1] = what or self._waits[-1]
            self._begin()

    def _begin(self) -> tuple[float, float]:
        """Begin the time anew; again and again, should somebody catch the interrupt. The timer that was before."""
        return signal.setitimer(signal.ITIMER_REAL, self.seconds, self.seconds)

    def _end(self, number: int, frame: object) -> NoReturn:
        self._expired = self._waits[-1]
        raise KeyboardInterrupt  # the only exception that Ray lets through while it waits
