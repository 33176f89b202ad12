"""Answers as they come, kept on disk, so that a job that stops goes on where it was.

The first line holds the settings, every other one a question that is done. A line that a crash cut short is dropped.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from data_prep.problems import SourceError

SYNC_EVERY = 50


class Journal:
    """Labels by question id; a context manager.

    Raises:
        SourceError: the file is no journal, or was begun with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]):
        self.path = path
        self.labels: dict[str, str] = {}
        self._settings = dict(settings)
        self._file: TextIO | None = None
        if path.exists():
            self._read()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: Any) -> None:
        if self._file is not None:
            self._sync()
            self._file.close()
            self._file = None

    def add(self, question_id: str, label: str) -> None:
        """Keep a label. It survives the end of this process, and every 50th the machine's."""
        if self._file is None:
            self._open()
        self.labels[question_id] = label
        self._file.write(json.dumps({"question_id": question_id, "label": label}) + "\n")
        self._file.flush()
        if len(self.labels) % SYNC_EVERY == 0:
            self._sync()

    def remove(self) -> None:
        """Delete the file, once its labels are written elsewhere."""
        self.path.unlink(missing_ok=True)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a" if self.labels else "w", encoding="utf-8")
        if not self.labels:
            self._file.write(json.dumps({"settings": self._settings}, sort_keys=True) + "\n")

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            lines = [json.loads(line) for line in whole.decode("utf-8").splitlines()]
            settings = lines[0]["settings"] if lines else self._settings
            labels = {line["question_id"]: line["label"] for line in lines[1:]}
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{self.path} is no journal ({error!r}); move it away") from error
        if not labels:
            return
        if settings != self._settings:
            raise SourceError(
                f"{self.path} was begun with other settings: {settings} there, {self._settings} now; repeat the old "
                "command to go on, or delete the file"
            )
        self.labels = labels
        os.truncate(self.path, len(whole))
