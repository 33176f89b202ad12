"""Overrides of a model's config, on configs and models of transformers without weights."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3VLConfig

from tests.refusals import refused
from verl_dots.launch.override_checks import require_read, unknown_keys

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}


@pytest.fixture
def model():
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(Qwen2Config(vocab_size=32, intermediate_size=16, **SMALL))


def test_what_the_config_has_and_what_verl_writes_is_known():
    config = Qwen2Config(**SMALL)
    assert (
        unknown_keys(config, {"use_cache": False, "num_hidden_layers": 2, "eos_token_id": 3, "dtype": "float32"}) == {}
    )
    assert unknown_keys(Qwen3VLConfig(), {"pad_token_id": 0, "text_config": {"num_hidden_layers": 2}}) == {}


def test_a_key_of_no_config_is_refused_unless_the_model_reads_it(model):
    config = Qwen2Config(**SMALL)
    require_read(model, unknown_keys(config, {"head_dim": 8}))
    with refused("actor_rollout_ref.model.override_config.num_layers", "unknown", "num_hidden_layers"):
        require_read(model, unknown_keys(config, {"head_dim": 8, "num_layers": 2}))


def test_a_key_of_a_part_is_named_with_its_place(model):
    found = unknown_keys(Qwen3VLConfig(), {"text_config": {"num_layers": 2, "num_hidden_layers": 1}})
    assert list(found) == ["text_config.num_layers"]
    with refused("actor_rollout_ref.model.override_config.text_config.num_layers", "unknown", "text_config.num_hidden"):
        require_read(model, found)
