"""The rows that a run adds to its metrics.jsonl, as they come."""

import os
from pathlib import Path
from typing import Any

from verl_dots.files import parse_json


class NewRows:
    """Rows that were not in the file when this was made, even if the run writes the file anew.

    Args:
        file: of JSON objects, one a line; it need not exist yet.
    """

    def __init__(self, file: Path):
        self.file = file
        self._known: set[int] = set()
        self._inode, self._offset = 0, 0
        self.read()

    def read(self) -> list[dict[str, Any]]:
        """The rows that came since the last call; a line that has no end yet is left for the next."""
        try:
            with self.file.open("rb") as file:
                state = os.fstat(file.fileno())
                if state.st_ino != self._inode or state.st_size < self._offset:
                    self._inode, self._offset = state.st_ino, 0
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return []
        text = text[: text.rfind(b"\n") + 1]
        self._offset += len(text)
        new = [line for line in text.splitlines() if hash(line) not in self._known]
        self._known.update(map(hash, new))
        return [row for row in map(_parsed, new) if row]


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A row, or nothing for a line that a crash has damaged."""
    try:
        row = parse_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) and "wall_seconds" in row else None
