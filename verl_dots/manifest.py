"""The list of a checkpoint's files, written when all of them are on disk: without it a checkpoint was not finished.

global_step_60/complete.json   {"version": 2, "step": 60, "files": {"data.pt": {"bytes": 1482, "sha256": "..."}, ...}}

Version 1 held the bytes of each file alone: {"step": 60, "files": {"data.pt": 1482}}. It is still read.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_dots.files import parse_json, sync_folder, write_atomically

MANIFEST = "complete.json"
VERSION = 2
MOST_AT_ONCE = 8  # files that are read for their checksums
_STEP = re.compile(r"global_step_(0|[1-9][0-9]*)")  # as verl writes it, and no other way


@dataclass(frozen=True)
class Listed:
    """What the list says of a file.

    Attributes:
        bytes: its size.
        sha256: of its content; None in lists of version 1.
    """

    bytes: int
    sha256: str | None = None


class ManifestError(ValueError):
    """There is a list, and it cannot be used; the message says why."""


def step_of(folder: Path) -> int | None:
    """N of global_step_N; None for a folder of another name."""
    match = _STEP.fullmatch(folder.name)
    return int(match[1]) if match else None


def write_manifest(folder: Path, step: int | None) -> None:
    """List all files below a folder with their sizes and checksums, once they are on disk whatever happens next."""
    found = {str(file.relative_to(folder)): file for file in files_below(folder) if file.name != MANIFEST}
    with ThreadPoolExecutor(_at_once(len(found))) as pool:
        checksums = list(pool.map(_synced_checksum, found.values()))
    for inner in {file.parent for file in found.values()} | {folder}:
        sync_folder(inner)
    listed = {
        name: {"bytes": file.stat().st_size, "sha256": checksum}
        for (name, file), checksum in sorted(zip(found.items(), checksums, strict=True))
    }
    text = json.dumps({"version": VERSION, "step": step, "files": listed}, indent=1) + "\n"
    write_atomically(folder / MANIFEST, lambda partial: partial.write_text(text))


def read_manifest(folder: Path) -> dict[str, Listed] | None:
    """The files of a checkpoint by name; None where it has no list.

    Raises:
        ManifestError: it is damaged, of a later version, or of another step than the folder's name says.
    """
    try:
        content = parse_json((folder / MANIFEST).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ManifestError(f"{MANIFEST} is damaged ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{MANIFEST} is damaged (it holds no JSON object)")
    version, files = content.get("version", 1), content.get("files")
    if type(version) is int and version > VERSION:
        text = f"{MANIFEST} is of version {version}, and this verl_dots reads up to {VERSION}: resume with a later one"
        raise ManifestError(text)
    if type(version) is not int or version < 1:
        raise ManifestError(f"{MANIFEST} is damaged (its version is {version!r:.40}, not a number from 1)")
    if not isinstance(files, dict):
        raise ManifestError(f"{MANIFEST} is damaged (it lists no files)")
    _require_step(content, version, step_of(folder))
    return {name: _listed(name, said, version) for name, said in files.items()}


def changed(folder: Path, listed: Mapping[str, Listed], checksums: bool) -> list[str]:
    """Files that are not as they are listed, each in words.

    Args:
        folder: of the checkpoint.
        listed: by name.
        checksums: compare the contents too, which reads all of them.
    """
    by_size = {name: _other_size(folder / name, said.bytes, name) for name, said in listed.items()}
    found = [fault for fault in by_size.values() if fault]
    if checksums:
        named = {name: said.sha256 for name, said in listed.items() if said.sha256 and not by_size[name]}
        with ThreadPoolExecutor(_at_once(len(named))) as pool:
            told = pool.map(lambda name: _other_content(folder / name, named[name], name), named)
            found += [fault for fault in told if fault]
    return found


def files_below(folder: Path) -> list[Path]:
    """All files below a folder."""
    return [file for file in folder.rglob("*") if file.is_file()]


def _require_step(content: Mapping[str, Any], version: int, here: int | None) -> None:
    """Raise ManifestError for a step that is none, or another one than `here`, where that is known."""
    step = content.get("step")
    if (version > 1 and "step" not in content) or not (step is None or (type(step) is int and step >= 0)):
        raise ManifestError(f"{MANIFEST} is damaged (its step is {step!r:.40}, not a number from 0)")
    if step is not None and here not in (None, step):
        raise ManifestError(f"{MANIFEST} is of step {step!r:.40}, not of step {here}")


def _listed(name: str, said: Any, version: int) -> Listed:
    size, checksum = (said, None) if version == 1 or not isinstance(said, dict) else map(said.get, ("bytes", "sha256"))
    if type(size) is not int or size < 0 or (version > 1 and not isinstance(checksum, str)):
        raise ManifestError(f"{MANIFEST} is damaged (it says {said!r:.60} of {name})")
    if os.path.isabs(name) or not name or ".." in name.split("/"):
        raise ManifestError(f"{MANIFEST} is damaged (it names {name!r:.60}, which is no file of its folder)")
    return Listed(size, checksum)


def _other_size(file: Path, size: int, name: str) -> str | None:
    if not os.path.isfile(file):  # False for what is no name of a file, where Path's raises
        return f"{name} is missing"
    there = file.stat().st_size
    return None if there == size else f"{name} has {there} of {size} bytes"


def _other_content(file: Path, checksum: str, name: str) -> str | None:
    try:
        same = _checksum(file) == checksum
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"
    return None if same else f"{name} has changed since it was saved (checksum)"


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _synced_checksum(file: Path) -> str:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    return _checksum(file)


def _at_once(files: int) -> int:
    return max(1, min(MOST_AT_ONCE, files, len(os.sched_getaffinity(0))))
