"""A model's folder for the engine."""

import pytest
from safetensors.torch import load_file, save_file

from verl_dots.rollout.loading import UnsupportedModel, load_engine
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
