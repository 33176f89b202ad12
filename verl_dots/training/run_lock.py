"""One run at a time in a folder.

Two locks, because a trainer is a process of Ray's that may outlive the command that started it by some seconds: the
command holds `.command.lock` for its life, the trainer `.trainer.lock`. The kernel releases both when a process ends,
however it ends; what the files say is only for messages.
"""

import errno
import fcntl
import json
import logging
import os
import socket
import time
from pathlib import Path
from typing import IO

from verl_dots.files import parse_json
from verl_dots.settings import ConfigError
from verl_dots.training.run_folder import now

logger = logging.getLogger(__name__)

COMMAND, TRAINER = ".command.lock", ".trainer.lock"
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.2
# File systems without locks: the run begins, unguarded.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_held: dict[Path, IO[str]] = {}


def hold(folder: str | Path, name: str, wait_seconds: float = WAIT_SECONDS) -> None:
    """Take a lock of a run folder for the life of this process. Holding it already is no error.

    Args:
        folder: of the run; made if missing.
        name: COMMAND or TRAINER.
        wait_seconds: how long a run that is about to end may take.

    Raises:
        ConfigError: another process holds it; the message names its host and process.
    """
    path = Path(folder).expanduser().resolve() / name
    if path not in _held:
        _held[path] = _take(path, wait_seconds)


def require_free(folder: str | Path, name: str, wait_seconds: float = WAIT_SECONDS) -> None:
    """Raise ConfigError, as `hold` does, where another process holds a lock; take nothing."""
    path = Path(folder).expanduser().resolve() / name
    if path.is_file() and path not in _held:
        _take(path, wait_seconds).close()


def release(folder: str | Path, name: str) -> None:
    """Give a lock back before the process ends."""
    if (file := _held.pop(Path(folder).expanduser().resolve() / name, None)) is not None:
        file.close()


def _take(path: Path, wait_seconds: float) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = _holder(path)
                file.close()
                raise ConfigError(
                    f"{path.parent} is in use by another run ({holder}); one run at a time writes to a folder. Wait "
                    f"for its end, ask it to end (touch {path.parent / 'stop'}), or take another folder "
                    "(trainer.default_local_dir)",
                    key="trainer.default_local_dir",
                    reason="other run",
                ) from None
            time.sleep(POLL_SECONDS)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                file.close()
                raise
            logger.warning("%s: this file system has no locks (%s); start no second run there", path.parent, error)
            return file
    file.truncate(0)
    file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": now()}) + "\n")
    file.flush()
    return file


def _holder(path: Path) -> str:
    try:
        found = parse_json(path.read_text())
        return f"host {found['host']}, process {found['pid']}, since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its process is unknown"


def _close_in_child() -> None:
    """A child of fork() shares the lock, and must not keep it when its parent has ended."""
    for file in _held.values():
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
