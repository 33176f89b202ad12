"""Files that are there whole or not at all, and places that are tried before the work that ends in them."""

import errno
import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from verl_dots.settings import Refusal


class OutputError(Refusal):
    """A place where a file cannot be written; the message names it and says what to do. Its key is the option."""


# Names of folders, and of nobody on the hub.
_FOLDERS = ("models", "model", "checkpoints", "checkpoint", "ckpt", "ckpts", "runs", "data", "output", "outputs")


def is_path(name: str) -> bool:
    """Whether a model's name is a path. A hub id is `name` or `owner/name`; all else is a path, and what is here is."""
    first = Path(name).parts[0] if "/" in name else ""
    in_folder = first in _FOLDERS or (bool(first) and os.path.isdir(first))
    like_a_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    return like_a_path or in_folder or os.path.exists(os.path.expanduser(name))


def try_output(path: Path, inputs: Sequence[str | Path] = (), option: str = "--out") -> None:
    """See whether a file can be written to a place, by writing one beside it that is removed again.

    Args:
        path: of the file; its folder is made if it is not there. A file that is there already stays as it is.
        inputs: files that are read for it, which it must not be.
        option: how the command line calls it.

    Raises:
        OutputError: it is a folder or one of the inputs, or nothing can be written there.
    """
    if os.path.isdir(path):  # False for what is no path at all, where Path's raises
        raise OutputError(f"{option} {path} is a folder; name a file in it", key=option, reason="file")
    for file in map(Path, inputs):
        if os.path.exists(path) and file.expanduser().exists() and path.samefile(file.expanduser()):
            text = f"{option} {path} is also read ({file}); choose another name"
            raise OutputError(text, key=option, reason="excluded")
    try_folder(path.parent, f"{option} {path}", path.name)


def try_folder(folder: Path, what: str, name: str = "") -> None:
    """See whether files can be written into a folder; it is made if it is not there.

    Args:
        what: the option and its value, for the message.
        name: of a file that will be in it.

    Raises:
        OutputError: nothing can be written there.
    """
    trial = folder / partial_name(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"\0")
    except OSError as error:
        reason = error.strerror or error
        text = f"{what} cannot be written: {reason} ({error.filename}); choose another place"
        raise OutputError(text, key=re.split("[ =]", what)[0], reason="file") from error
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


def partial_name(name: str) -> str:
    """What a file is called until it is whole."""
    return f".{name}.{uuid.uuid4().hex}.partial"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file next to its place and move it there: after a crash there is the old file or the new one.

    When this returns, the new one is there even if the machine has no power the moment after.

    Args:
        path: the file; its folder is made if it is not there.
        write: called with the path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(partial_name(path.name))
    try:
        with naming(path):
            write(partial)
        # safetensors leaves its files to their owner alone; others of the group resume runs too.
        os.chmod(partial, 0o666 & ~_umask())
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names of its files on disk, too; where a file system knows no such thing, nothing happens."""
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(place)
    finally:
        os.close(place)


def free_name(path: Path) -> Path:
    """A path that is not there yet: this one, or with a number before its ending. A clock may give a name twice."""
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A full disk is reported with the file that it has no room for; the system's own error names none."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _umask() -> int:
    """The process's mask; there is no way to read it but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
