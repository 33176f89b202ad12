"""A command in a process of its own, which no signal reaches that was not meant for all of it.

`kill`, `timeout`, a terminal and SLURM signal a process or its group. Ray's daemons in that group would die first, and
the trainer with them, before it could save. So the process that was started only waits and handles signals. Its child
does the work, in a process group of its own:

    if __name__ == "__main__":
        guarded("evaluate", "the same command continues where it was")   # returns in the child alone

SIGINT          ends every process below this one within seconds; status 130
SIGTERM         where the child has told of a `stop_file`, makes it: the run saves after its step and ends. Else, and
                the second time, as SIGINT; status 143
SIGKILL         the kernel kills the child, too; Ray's daemons follow it in the same way

Whatever is left of the child's processes once it has ended is ended, too.
"""

import atexit
import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import psutil

SET_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36  # of prctl(2)
HANDLED = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 3.0  # that processes have to end by themselves once the child has
# The writing end of the channel from this process to the one that guards it.
_channel: list[int] = []


class _EndNow(Exception):
    """Everything is to end, by the signal of this number."""

    def __init__(self, number: int):
        self.number = number


def guarded(name: str, resumes: str) -> None:
    """Go on in a child; this process waits for it and ends with its status.

    To be called before imports that start threads, which a fork would lose.

    Args:
        name: of the command, which its messages begin with.
        resumes: how it continues after it was ended.
    """
    parent, (reading, writing) = os.getpid(), os.pipe()
    adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    child = os.fork()
    if child:
        os.close(writing)
        os.set_blocking(reading, False)
        _Guard(name, resumes, child, reading).wait()
    os.close(reading)
    os.setpgid(0, 0)
    die_with_parent()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(128 + signal.SIGKILL)
    _channel.append(writing)
    atexit.register(_leave, os.getpid())


def _leave(child: int) -> None:
    """Tell that the interpreter comes to its end, as it does after any error; os._exit() knows no such end."""
    if os.getpid() == child:  # a fork of it may end like this, too
        tell(left=True)


def adopt_orphans(adopt: bool = True) -> None:
    """Become the parent of every process below this one that loses its own, or no longer."""
    _prctl(SET_CHILD_SUBREAPER, int(adopt))


def die_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends; to be called right after the fork."""
    _prctl(SET_DEATH_SIGNAL, signal.SIGKILL)


def tell(**facts: str | bool) -> None:
    """Tell the guarding process, if there is one.

    Args:
        facts: `stop_file` (SIGTERM makes it; empty for none), `resumes` (in place of that of `guarded`), `complete`
            (all work is done), `left` (the interpreter has come to its end).
    """
    for channel in _channel:
        os.write(channel, json.dumps(facts).encode() + b"\n")


class _Guard:
    """The waiting process."""

    def __init__(self, name: str, resumes: str, child: int, channel: int):
        self.name, self.child, self.channel = name, child, channel
        self.facts: dict[str, str | bool] = {"resumes": resumes}
        self.received = b""
        self.asked = self.ending = False

    def wait(self) -> NoReturn:
        """Until the child has ended; then end with its status."""
        try:
            signal.signal(signal.SIGINT, self._end)
            signal.signal(signal.SIGTERM, self._ask)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
            status = self._status()
            signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)  # what is left takes seconds
        except _EndNow as end:
            signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
            self._listen()
            os.kill(self.child, signal.SIGKILL)
            if self.asked and self.facts.get("stop_file"):
                with contextlib.suppress(OSError):  # the next start takes it away
                    Path(str(self.facts["stop_file"])).unlink(missing_ok=True)
            self._say(f"ended by {signal.Signals(end.number).name}; {self.facts['resumes']}")
            status = 128 + end.number
        end_all_below()
        self._listen()
        if self.asked and status == 0 and not self.facts.get("complete"):
            status = 128 + signal.SIGTERM
        sys.stdout.flush()
        os._exit(status)

    def _status(self) -> int:
        while True:
            pid, status = os.waitpid(-1, 0)  # orphans of the child are this process's, too
            if pid == self.child:
                code = os.waitstatus_to_exitcode(status)
                if code < 0:
                    self._listen()
                    self._say(f"the process died of {signal.Signals(-code).name}; {self.facts['resumes']}")
                return self._judged(code) if code >= 0 else 128 - code

    def _judged(self, code: int) -> int:
        """The status of a process that ended itself; 1 in place of 0 where that came before its work was done."""
        self._listen()
        if self.facts.get("left") or self.facts.get("complete"):
            return code
        why = "as os._exit() in a function of yours does"
        self._say(f"the process ended itself with status {code}, {why}; {self.facts['resumes']}")
        return code or 1

    def _end(self, number: int, frame: object) -> None:
        if not self.ending:  # a second signal that comes before this one is through changes nothing
            self.ending = True
            raise _EndNow(number)

    def _ask(self, number: int, frame: object) -> None:
        if self.ending:
            return
        self._listen()
        stops = self.facts.get("complete") or self.facts.get("stop_file")
        if self.asked or not stops:
            self._end(number, frame)
        self.asked = True
        if self.facts.get("complete"):
            return  # it is about to end
        try:
            Path(str(self.facts["stop_file"])).touch()
        except OSError:  # the folder is gone
            self._end(number, frame)
        self._say("SIGTERM: the run saves after this step and ends; a second SIGTERM ends it at once")

    def _listen(self) -> None:
        """Read what the child has told so far."""
        try:
            while part := os.read(self.channel, 65536):
                self.received += part
        except BlockingIOError:
            pass
        *lines, self.received = self.received.split(b"\n")
        for line in lines:
            self.facts |= json.loads(line)

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads, or there is no room: what is to end ends all the same
            os.write(sys.stderr.fileno(), f"{self.name}: {text}\n".encode())


def end_all_below() -> None:
    """Wait a moment for the processes below this one, orphans of theirs too, and kill those that do not end."""
    deadline = time.monotonic() + GRACE_SECONDS
    while _has_children() and time.monotonic() < deadline + GRACE_SECONDS:  # some the kernel may not let go of
        if time.monotonic() > deadline:
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        time.sleep(0.05)


def _has_children() -> bool:
    """Whether anything below this process lives: whatever loses its parent becomes a child of this one at once.

    psutil's list alone would not do: it misses a process whose parent ends while the list is made.
    """
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
