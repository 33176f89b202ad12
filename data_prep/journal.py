"""Ratings as they come, kept on disk, so that a judge that stops resumes where it was."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.problems import SourceError
from verl_dots import journal
from verl_dots.settings import ConfigError


class Journal(journal.Journal[str, str]):
    """Labels by question id.

    Raises:
        SourceError: the file is no journal, or was begun with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]):
        try:
            super().__init__(path, settings)
        except ConfigError as error:
            raise SourceError(str(error), key=error.key, reason=error.reason) from error

    def line_of(self, key: str, value: str) -> dict[str, Any]:
        return {"question_id": key, "label": value}

    def read_line(self, line: Mapping[str, Any]) -> tuple[str, str]:
        return line["question_id"], line["label"]
