"""The shape of a model: of a folder, of the hub's cache, or one that the recipes name."""

from pathlib import Path
from typing import Any

import yaml

from verl_dots.files import is_path
from verl_dots.settings import ConfigError
from verl_dots.sizes import ModelShape

MODELS = Path(__file__).with_name("models.yaml")


def shape_of(model: str) -> ModelShape:
    """The shape of a folder's model or of a hub id; weights are not read.

    Raises:
        ConfigError: there is no such model here or on the hub, or it is no language model that transformers knows.
    """
    from transformers import AutoConfig

    known = yaml.safe_load(MODELS.read_text())
    if model in known:
        return _shape(AutoConfig.for_model("qwen2", **known[model]))
    folder = Path(model).expanduser()
    place = str(folder) if is_path(model) or folder.exists() else model
    try:  # without the last argument transformers asks at the terminal whether to run a model's own code
        return _shape(AutoConfig.from_pretrained(place, trust_remote_code=False))
    except Exception as error:  # noqa: BLE001 - a config at random raises anything
        cause = str(error).partition("\n")[0]
        text = f"actor_rollout_ref.model.path: {model!r} has no config of a language model that can be read ({cause}); "
        raise ConfigError(text + f"give a folder, or one of {', '.join(known)}", key=model, reason="file") from error


def _shape(config: Any) -> ModelShape:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        parameters = sum(each.numel() for each in AutoModelForCausalLM.from_config(config).parameters())
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return ModelShape(
        parameters=parameters,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        queries=heads * width,
        keys=(getattr(config, "num_key_value_heads", None) or heads) * width,
        vocabulary=config.vocab_size,
        tied=bool(config.tie_word_embeddings),
        positions=getattr(config, "max_position_embeddings", None) or 0,
    )
