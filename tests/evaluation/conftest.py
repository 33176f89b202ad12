"""A model that can be had at once."""

import pytest

from data_prep.byte_tokenizer import build_tokenizer
from scripts.make_tiny_model import SIZES, build_model


@pytest.fixture
def random_model(tmp_path):
    """Folder of a model with random weights, and a real tokenizer."""
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(tmp_path / "random")
    build_model(SIZES["tiny"], tokenizer, seed=0).save_pretrained(tmp_path / "random")
    return tmp_path / "random"
