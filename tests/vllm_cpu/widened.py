"""The testbed's tiny model in a shape that vLLM's attention on a CPU has: heads of 32 instead of 24 dimensions."""

import math
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

NARROW, WIDE = 24, 32  # dimensions of a head
GROWTH = WIDE / NARROW


def save_widened(model: Path, folder: Path) -> None:
    """Save a Qwen2 model that computes the same logits, up to rounding, with each head 32 wide instead of 24.

    What is added is zero. A head turns half of its dimensions against the other, so each half grows by itself; the
    base of the rotation grows with them, so that the angles stay. Queries grow by what their scale shrinks by, and a
    norm's weights shrink by what its mean over more dimensions grows by.

    Args:
        model: folder of a Qwen2 model in float32 with heads of 24 dimensions.
        folder: where the wide one goes, with the tokenizer.

    Raises:
        ValueError: the heads are not 24 wide.
    """
    narrow = Qwen2ForCausalLM.from_pretrained(model, dtype=torch.float32)
    config = narrow.config
    if config.hidden_size != NARROW * config.num_attention_heads:
        raise ValueError(f"{model}: heads of {config.hidden_size / config.num_attention_heads:g} dimensions, not 24")
    changed = config.to_dict() | {
        "hidden_size": WIDE * config.num_attention_heads,
        "rms_norm_eps": config.rms_norm_eps / GROWTH,
        "rope_parameters": config.rope_parameters | {"rope_theta": config.rope_parameters["rope_theta"] ** GROWTH},
    }
    wide = Qwen2ForCausalLM(Qwen2Config(**changed))
    wide.generation_config = narrow.generation_config
    with torch.no_grad():
        for (name, old), new in zip(narrow.named_parameters(), wide.parameters(), strict=True):
            new.copy_(_grown(name, old, new.shape))
    wide.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)


def _grown(name: str, old: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A parameter in its new shape."""
    if "norm" in name:
        old = old / math.sqrt(GROWTH)
    if "q_proj" in name:
        old = old * math.sqrt(GROWTH)
    halves = ("q_proj" in name or "k_proj" in name, False)
    new = old
    for axis, size in enumerate(shape):
        if size != new.shape[axis]:
            # The values of a head stay beside each other, so do the columns of o_proj that take them.
            of_heads = halves[axis] or (axis == 0 and "v_proj" in name) or (axis == 1 and "o_proj" in name)
            new = _padded(new, axis, size, NARROW // 2 if halves[axis] else NARROW if of_heads else new.shape[axis])
    return new


def _padded(tensor: torch.Tensor, axis: int, size: int, part: int) -> torch.Tensor:
    """Zeros behind each `part` entries of an axis, so that it has `size`."""
    parts = tensor.shape[axis] // part
    blocks = tensor.unflatten(axis, (parts, part))
    added = list(blocks.shape)
    added[axis + 1] = size // parts - part
    return torch.cat([blocks, blocks.new_zeros(added)], axis + 1).flatten(axis, axis + 1)
