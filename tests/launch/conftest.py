"""A run that is only checked."""

from pathlib import Path

import pytest

from scripts.bad_inputs import questions
from tests.launches import question_row, save_untrained, write_rows


def filled(folder: Path) -> Path:
    """A folder with a model of one layer, 24 questions, and one for validation."""
    save_untrained(folder / "model")
    write_rows(folder / "train.parquet", questions())
    write_rows(folder / "val.parquet", [question_row("What is 1 minus 1?", "0", extra_info={"index": 0, "level": 7})])
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return filled(tmp_path)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """As `folder`, for tests that leave it as it is."""
    return filled(tmp_path_factory.mktemp("run"))
