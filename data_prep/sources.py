"""Where raw rows come from: a data set of the hub through `datasets`, or a local file or folder in its raw format.

A source can be read more than once, which the pipeline does: nothing of it has to stay in memory.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.problems import SourceError
from data_prep.raw_files import SUFFIXES, is_data_file, read_file

logger = logging.getLogger(__name__)

SHOWN = 5  # files named in a message
# How files name what they hold, besides the names of the data set's own splits.
SPLITS = frozenset({"train", "test", "validation", "valid", "val", "dev"})
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_REVISION = re.compile(r"^hf://datasets/[^@]+@([0-9a-f]{7,})/")


@dataclass(frozen=True)
class Hub:
    """A published data set.

    Attributes:
        id: owner/name.
        config: which of its configurations, if it has several.
        splits: its splits by the name that rows carry in extra_info.split; the first is the default.
    """

    id: str
    config: str | None = None
    splits: Mapping[str, str] = field(default_factory=lambda: {"train": "train"})


@dataclass(frozen=True)
class Source:
    """Raw rows.

    Attributes:
        name: hub id, or path as it was given.
        read: gives the rows from the first on, each time it is called.
        about: what is known of the version, for provenance: revision, or sha256 of each file.
    """

    name: str
    read: Callable[[], Iterator[Any]]
    about: Mapping[str, Any]


def open_source(
    given: str | None,
    hub: Hub | None,
    split: str,
    config: str | None = None,
    revision: str | None = None,
    asked: bool = True,
) -> Source:
    """The source that was asked for.

    Args:
        given: path or hub id; None for ``hub`` itself.
        split: key of ``hub.splits``. In a folder, files with the split's name in their paths are taken, or all files
            if none has any split's name; files with the configuration's name, or all if there are none.
        asked: for this split by its name. Else the only split of a set of the hub is taken, with a warning, unless its
            name is that of another one of ``hub.splits``.

    Raises:
        SourceError: no such path, no data in it, only data of other splits, or the hub has no such data set.
    """
    if given is None and hub is None:
        raise SourceError(
            "--source is missing: this set is on no hub; give a file or folder", key="--source", reason="missing"
        )
    theirs = hub.splits.get(split, split) if hub else split
    if given is not None and (path := Path(given).expanduser()).exists():
        known = SPLITS | set(hub.splits.values() if hub else ())
        of_config = config or (hub.config if hub else None)
        files = [path] if path.is_file() else _files_of(path, of_config, theirs, known - {split})
        return _file_source(given, path, files)
    name = hub.id if given is None else given
    if given is None or (_HUB_ID.fullmatch(given) and not given.endswith(SUFFIXES)):
        own = hub.config if hub is not None and name == hub.id else None
        others = {*hub.splits, *hub.splits.values()} if hub else set()
        return _hub_source(name, config or own, revision, (theirs, split), None if asked else others)
    text = f"--source {given}: there is no such file or folder, and it is no hub id (owner/name)"
    raise SourceError(text, key="--source", reason="file")


def _files_of(folder: Path, config: str | None, split: str, others: Set[str]) -> list[Path]:
    """Its files of the configuration and the split; ``others`` are names of splits that must not be taken for it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and is_data_file(path.relative_to(folder)))
    if not files:
        text = f"--source {folder}: no data file in this folder; known: {', '.join(SUFFIXES)}"
        raise SourceError(text, key="--source", reason="file")

    def named(*words: str) -> list[Path]:
        pattern = re.compile(rf"(?:^|[/._-])(?:{'|'.join(map(re.escape, words))})(?:$|[/._-])")
        return [path for path in files if pattern.search(str(path.relative_to(folder)))]

    files = named(config) or files if config else files
    found = named(split)
    foreign = [str(path.relative_to(folder)) for path in named(*sorted(others))]
    if not found and foreign:
        raise SourceError(
            f"--source {folder}: no file of the split {split!r}, only of others: {', '.join(foreign[:SHOWN])}"
            f"{', ...' if len(foreign) > SHOWN else ''}; give the file itself with --source if it is what you want",
            key="--source",
            reason="file",
        )
    return found or files


def _file_source(given: str, path: Path, files: list[Path]) -> Source:
    def read() -> Iterator[Any]:
        for file in files:
            yield from read_file(file)

    names = {str(file.relative_to(path)) if path.is_dir() else file.name: _sha256(file) for file in files}
    return Source(given, read, {"files_sha256": names})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hub_source(
    name: str, config: str | None, revision: str | None, names: Sequence[str], others: Set[str] | None
) -> Source:
    """A data set of the hub; `datasets` keeps it on disk and maps it into memory.

    Args:
        names: of the split, the best first.
        others: names of splits that are not taken for it, where a set has no more than one; None where none is.

    Raises:
        SourceError: it cannot be loaded, or has no such split.
    """
    import datasets

    try:
        splits = datasets.load_dataset(name, config, revision=revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise SourceError(
            f"the hub's data set {name}{f' ({config})' if config else ''} cannot be loaded: {error}. Without network, "
            "download it elsewhere and give its file or folder with --source",
            key="--source",
            reason="file",
        ) from error
    split = next((one for one in names if one in splits), None)
    if split is None:
        split = str(next(iter(splits)))
        if others is None or len(splits) > 1 or split in others:
            text = f"{name} has the splits {sorted(splits)}, not {names[0]!r}; give one of its files with --source"
            text += ", or leave --split out" if others is None and len(splits) == 1 else ""
            raise SourceError(text, key="--source", reason="choice")
        logger.warning("%s has no split %r; %r, its only one, is taken", name, names[0], split)
    rows = splits[split]
    return Source(name, lambda: iter(rows), {"config": config, "revision": revision or _revision_of(rows)})


def _revision_of(rows: Any) -> str | None:
    """The commit that `datasets` noted beside the files that it took, if it did."""
    found = (_REVISION.match(str(file)) for file in rows.info.download_checksums or {})
    return next((match.group(1) for match in found if match), None)
