"""Inputs of the end-to-end runs, made once."""

import pytest

from data_prep import arithmetic
from scripts import make_tiny_model
from tests.integration.training import Inputs


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Inputs:
    """64 training and 16 validation questions, and a tiny model warmed up for some seconds."""
    folder = tmp_path_factory.mktemp("inputs")
    arithmetic.main(["--out", str(folder / "data"), "--train", "64", "--val", "16"])
    make_tiny_model.main(["--out", str(folder / "model"), "--data", str(folder / "data"), "--steps", "60"])
    return Inputs(folder / "data", folder / "model")
