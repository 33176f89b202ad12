"""A model's folder for the engine."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, JambaConfig, Llama4TextConfig, MistralConfig

from verl_dots.rollout import attention
from verl_dots.rollout.loading import UnsupportedModel, check_model, load_engine, require_attention_alone
from verl_dots.rollout.settings import EngineConfig


def test_a_folder_that_lacks_weights_is_refused(random_qwen2, tmp_path):
    """transformers would draw them at random, and say so in its log alone."""
    random_qwen2.save_pretrained(tmp_path)
    limits = EngineConfig(max_model_len=32, max_num_seqs=4)
    assert load_engine(str(tmp_path), limits) is not None
    weights = load_file(tmp_path / "model.safetensors")
    lost = [name for name in weights if "layers.1.mlp" in name]
    save_file(
        {name: value for name, value in weights.items() if name not in lost},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(UnsupportedModel, match=f"lacks {len(lost)} weights of its model, model.layers.1.mlp"):
        load_engine(str(tmp_path), limits)


SMALL = dict(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=5, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, pad_token_id=0,
)  # fmt: skip


def made(config) -> torch.nn.Module:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention.NAME).eval()


def test_layers_with_a_state_are_refused_whatever_random_weights_hide():
    model = made(JambaConfig(**SMALL, num_experts=2, use_mamba_kernels=False))
    check_model(model)  # its differences are smaller than what rounding may make
    with pytest.raises(UnsupportedModel, match="layers of the kind mamba.*use rollout.name=vllm"):
        require_attention_alone(model, 64)


def test_chunks_of_attention_are_refused_where_a_sequence_may_be_longer():
    model = made(Llama4TextConfig(**SMALL, attention_chunk_size=64, num_local_experts=2))
    require_attention_alone(model, 64)
    with pytest.raises(UnsupportedModel, match="chunked_attention"):
        require_attention_alone(model, 65)


@pytest.mark.parametrize(
    ("rope", "longest"),
    [
        ({"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}, 128),
        (
            {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 32, "factor": 4.0}
            | {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4},
            32,
        ),
    ],
    ids=["dynamic", "longrope"],
)
def test_positions_that_follow_the_longest_sequence_are_refused_beyond_it(rope, longest):
    """transformers turns all rows of a forward pass by the longest of them: a response would depend on its company."""
    model = made(MistralConfig(**SMALL, sliding_window=None, max_position_embeddings=128, rope_parameters=rope))
    require_attention_alone(model, longest)
    with pytest.raises(UnsupportedModel, match=f"once one has more than {longest} tokens"):
        require_attention_alone(model, longest + 1)


def test_full_and_sliding_attention_pass(random_qwen2):
    require_attention_alone(made(MistralConfig(**SMALL, sliding_window=10)), 64)
    require_attention_alone(random_qwen2, 64)
