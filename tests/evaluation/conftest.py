"""A question and a model that can be had at once."""

import pytest

from data_prep.byte_tokenizer import build_tokenizer
from data_prep.schema import make_row
from scripts.make_tiny_model import SIZES, build_model


def row(content, answer="2", source="arithmetic"):
    """A question as a row of a data file."""
    prompt = [{"role": "user", "content": content}]
    return make_row(data_source=source, prompt=prompt, ability="math", ground_truth=answer, index=0, split="test")


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """Folder of a model with random weights, and a real tokenizer; to be read only."""
    folder, tokenizer = tmp_path_factory.mktemp("random"), build_tokenizer()
    tokenizer.save_pretrained(folder)
    build_model(SIZES["tiny"], tokenizer, seed=0).save_pretrained(folder)
    return folder
