"""Files that are there whole or not at all, and places that are tried before the work that ends in them."""

import errno
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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


def try_output(
    path: Path, inputs: Sequence[str | Path] = (), option: str = "--out", made: Callable[[Path], bool] | None = None
) -> None:
    """See whether a file can be written to a place, by writing one beside it that is removed again.

    Args:
        path: of the file. A file that is there already stays as it is.
        inputs: files that are read for it, which it must not be.
        option: how the command line calls it.
        made: whether a file that is there is an earlier one of the command, which alone it may write over.

    Raises:
        OutputError: it is a folder, one of the inputs or another's file, or nothing can be written there.
    """
    if os.path.isdir(path):  # False for what is no path at all, where Path's raises
        raise OutputError(f"{option} {path} is a folder; name a file in it", key=option, reason="file")
    for file in map(Path, inputs):
        if os.path.exists(path) and file.expanduser().exists() and path.samefile(file.expanduser()):
            text = f"{option} {path} is also read ({file}); choose another name"
            raise OutputError(text, key=option, reason="excluded")
    if made is not None:
        require_own(path.parent, [path.name], made, f"{option} {path}")
    try_folder(path.parent, f"{option} {path}", path.name)


def try_outputs(folder: Path, names: Sequence[str], made: Callable[[Path], bool], option: str = "--out") -> None:
    """See whether the files of a command can be written into a folder, as `try_output` sees of one.

    Args:
        made: whether the first of the files, where it is there, is the command's own; the others then are, too.
    """
    for name in names:
        try_output(folder / name, option=option)
    require_own(folder, names, made, f"{option} {folder}")


def require_own(folder: Path, names: Sequence[str], made: Callable[[Path], bool], what: str) -> None:
    """Raise OutputError where a folder has files of these names, and the first of them is none that was `made` here.

    Args:
        what: the option and its value, for the message.
    """
    places = [folder / name for name in names]
    there = [place for place in places if os.path.lexists(place)]
    if there and not (os.path.isfile(places[0]) and made(places[0])):
        text = f"{what}: {there[0].name} is there, and this command did not make it; choose another place, or move it"
        raise OutputError(text, key=re.split("[ =]", what)[0], reason="excluded")


def begins_with(text: str) -> Callable[[Path], bool]:
    """Whether a file does."""

    def made(file: Path) -> bool:
        with file.open("rb") as stream:
            return stream.read(len(text.encode())) == text.encode()

    return made


def holds_json(*keys: str) -> Callable[[Path], bool]:
    """Whether a file is a JSON object with all these keys."""

    def made(file: Path) -> bool:
        try:
            return set(keys) <= set(read_json(file))
        except Refusal:
            return False

    return made


def parse_json(text: str | bytes) -> Any:
    """What JSON from disk says. Raises ValueError for all that is none, and for thousands of brackets or digits."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its brackets are too deep") from error


def read_json(file: Path, kind: type = dict, advice: str = "give another file") -> Any:
    """What a JSON file holds, where it is of this kind.

    Raises:
        Refusal: it cannot be read, is no JSON, or of another kind; its key is the file.
    """
    return read_parsed(file, parse_json, "JSON", kind, advice)


def read_yaml(file: Path, kind: type = dict, advice: str = "give another file") -> Any:
    """The same of a YAML file."""
    import yaml

    def parse(text: str) -> Any:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error

    return read_parsed(file, parse, "YAML", kind, advice)


def read_parsed(file: Path, parse: Callable[[str], Any], form: str, kind: type, advice: str) -> Any:
    """The same of another form of text; `parse` raises ValueError for what is none."""
    try:
        found = parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refusal(f"{file} cannot be read: {error.strerror}; {advice}", key=str(file), reason="file") from error
    except (ValueError, RecursionError) as error:  # the second of YAML
        told = " ".join(str(error).split())
        raise Refusal(
            f"{file} is no {form}, or damaged ({told:.200}); {advice}", key=str(file), reason="file"
        ) from error
    if not isinstance(found, kind):
        text = f"{file} holds a {type(found).__name__} where a {kind.__name__} must be; {advice}"
        raise Refusal(text, key=str(file), reason="type")
    return found


def try_folder(folder: Path, what: str, name: str = "") -> None:
    """See whether files can be written into a folder. One that is made for it is removed again: who is refused later
    leaves nothing behind.

    Args:
        what: the option and its value, for the message.
        name: of a file that will be in it.

    Raises:
        OutputError: nothing can be written there.
    """
    trial = folder / partial_name(name)
    made = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
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
        for each in made:  # the innermost first; not what another process has put something into
            with suppress(OSError):
                each.rmdir()


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
