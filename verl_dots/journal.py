"""Work that is done, kept on disk as it comes, so that a command that stops resumes where it was.

The first line of a journal holds the settings, every other one what was done under a key. A line that a crash cut short
is dropped. A journal that was begun with other settings is refused: results of both never mix.
"""

import json
import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Generic, Self, TextIO, TypeVar

from verl_dots.files import naming, parse_json
from verl_dots.settings import ConfigError

SYNC_EVERY = 50
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Journal(Generic[Key, Value]):  # noqa: UP046  Python 3.11
    """A journal of values by key; a context manager. A kind of journal says how one becomes a line.

    Args:
        path: made with the first value.
        settings: everything that decides what is kept, as plain JSON values.

    Raises:
        ConfigError: the file was begun with other settings, or is no such journal.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]):
        self.path = path
        self.settings = plain(settings)
        self.done: dict[Key, Value] = {}
        self._file: TextIO | None = None
        if path.exists():
            self._read()

    def line_of(self, key: Key, value: Value) -> dict[str, Any]:
        """A line for the file, as JSON values."""
        raise NotImplementedError

    def read_line(self, line: Mapping[str, Any]) -> tuple[Key, Value]:
        """Key and value of a line. Raises KeyError, TypeError or ValueError for one that `line_of` has not made."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._file is not None:
            self._sync()
            self._file.close()
            self._file = None

    def add(self, key: Key, value: Value) -> None:
        """Keep a value. It survives the end of this process, and every 50th the machine's."""
        if self._file is None:
            self._open()
        self.done[key] = value
        with naming(self.path):
            self._file.write(json.dumps(self.line_of(key, value)) + "\n")
            self._file.flush()
        if len(self.done) % SYNC_EVERY == 0:
            self._sync()

    def remove(self) -> None:
        """Delete the file, once what it holds is written elsewhere."""
        self.path.unlink(missing_ok=True)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a" if self.done else "w", encoding="utf-8")
        if not self.done:
            self._file.write(json.dumps({"settings": self.settings}, sort_keys=True) + "\n")

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            lines = [parse_json(line) for line in whole.decode("utf-8").splitlines()]
            found = lines[0]["settings"] if lines else {}
            if not isinstance(found, dict):
                raise TypeError(f"its settings are {found!r:.40}, no object")
            done = dict(map(self.read_line, lines[1:]))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self.path} is not a progress file ({error!r}); move it away", key=str(self.path), reason="file"
            ) from error
        if not done:
            return
        require_same_settings(found, self.settings, self.path)
        self.done = done
        if whole != content:
            os.truncate(self.path, len(whole))


def require_same_settings(there: Mapping[str, Any], here: Mapping[str, Any], path: Path) -> None:
    """Raise ConfigError, naming what differs, unless what was made with `there` is what `here` would make."""
    here, there = plain(here), there if isinstance(there, Mapping) else {}
    differing = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
    if differing:
        shown = "; ".join(f"{key}: {_shown(there, key)} there, {_shown(here, key)} now" for key in differing)
        known = any(key in there for key in differing)
        wrong = "was made with other settings" if known else "is of a version that did not note all settings"
        way = "the old ones" if known else "that version"
        raise ConfigError(
            f"{path} {wrong} ({shown}); repeat the command with {way} to continue, choose another --out, or delete "
            "the file",
            key=differing[0],
            reason="other run",
        )


def _shown(settings: Mapping[str, Any], key: str) -> str:
    return repr(settings[key]) if key in settings else "not noted"


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As the settings read back from JSON."""
    return parse_json(json.dumps(dict(settings)))
