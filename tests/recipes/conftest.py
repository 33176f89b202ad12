"""What recipes are run on where only their settings are looked at."""

from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.byte_tokenizer import build_tokenizer
from tests.recipes.recipe_runs import Recipe

# Two rounds of DOTS at 512 questions a batch with 256 references; 1,024 of them of a difficulty in [10, 90].
QUESTIONS = 1400
FILES = (
    "math", "math_all", "deepscaler", "orz", "deepmath", "deepscaler_uniform", "deepscaler_difficult",
    "deepscaler_easy", "e3_train", "e3_valid", "gsm8k_test", "math500", "minerva", "olympiadbench", "amc23", "aime24",
    "train", "val",
)  # fmt: skip


@pytest.fixture(scope="session")
def places(tmp_path_factory) -> dict[str, str]:
    """Variables of the recipes: a folder with their data, and a model."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("recipes")
    question = {"data_source": "math", "ability": "math"}
    rows = [
        {
            **question,
            "prompt": [{"role": "user", "content": f"What is {i} plus 1?"}],
            "reward_model": {"style": "rule", "ground_truth": str(i + 1)},
            "extra_info": {"index": i, "difficulty": i / QUESTIONS * 100, "level": 1 + i % 10},
        }
        for i in range(QUESTIONS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "all.parquet")
    for name in FILES:
        (folder / f"{name}.parquet").symlink_to(folder / "all.parquet")
    shape = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, vocab_size=300)
    Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2)).save_pretrained(folder / "model")
    build_tokenizer().save_pretrained(folder / "model")
    names = {"DATA": folder, "MODEL": folder / "model", "CACHE": folder / "cache", "PREDICTOR": "online"}
    return {name: str(value) for name, value in names.items()}


@pytest.fixture(scope="session")
def composed(places):
    """The config of a recipe, composed once."""
    return cache(lambda recipe: recipe.config(f"dots.difficulty.cache={places['CACHE']}", **places))


@pytest.fixture(scope="session")
def config_of(composed):
    """The config of a script and its arguments."""
    return lambda script, *arguments: composed(Recipe(script, arguments))
