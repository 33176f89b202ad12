"""The attention that a transformers model runs inside the engine.

transformers lets an attention function be registered under a name; every model that supports this hands
its query, key and value over and passes the forward call's extra keywords through. The engine's forward
call carries a `slot_step`, which says where the keys go and which positions each row may see.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AttentionInterface

from verl_dots.rollout.kv_cache import SlotCache, aligned

NAME = "verl_dots_slots"
# Keywords by which models ask for arithmetic that this function does not do.
UNSUPPORTED = ("softcap", "s_aux", "head_mask", "position_bias")


# Rows of one decode block: each block reads the cache only as far as its own longest row.
BLOCK_ROWS = 64
# Least positions that a decode block looks at: torch multiplies very small matrices (fewer than 400 products) by
# another routine, which rounds differently, so a row's scores must not be small in one batch and not in the next.
LEAST_LENGTH = 64


class PromptsStored(Exception):
    """The last layer's keys and values of a prefill are in the cache: no arithmetic after them is read."""


@dataclass
class SlotStep:
    """One forward pass of the engine.

    Attributes:
        cache: where keys and values live.
        prefill: whole prompts [M, P] (True), or one token for each running row [N, 1] (False).
        slots: prefill only, [M] int64: the slot of each prompt.
        last_layer: prefill only: the layer whose keys and values end the pass, as nothing reads what comes after them.
        positions: decode only, [N] int64: position of each row's token.
        blocks: decode only: (first row, end row, positions of the cache to look at), lengths aligned.
    """

    cache: SlotCache
    prefill: bool
    slots: torch.Tensor | None = None
    last_layer: int | None = None
    positions: torch.Tensor | None = None
    blocks: list[tuple[int, int, int]] = field(default_factory=list)
    _masks: dict = field(default_factory=dict)

    @classmethod
    def decode(cls, cache: SlotCache, positions: np.ndarray, device: torch.device) -> "SlotStep":
        """A decode step for rows whose tokens stand at `positions` [N] int64."""
        rows = len(positions)
        size = BLOCK_ROWS if device.type == "cpu" else rows
        starts = range(0, rows, size)
        lengths = [max(LEAST_LENGTH, aligned(int(positions[at : at + size].max()) + 1)) for at in starts]
        blocks = [(at, min(at + size, rows), length) for at, length in zip(starts, lengths, strict=True)]
        return cls(cache, prefill=False, positions=torch.from_numpy(positions).to(device), blocks=blocks)

    def prompt_mask(self, length: int, window: int | None, like: torch.Tensor) -> torch.Tensor | None:
        """Additive mask [length, length] of a prefill with a sliding window; None where causal attention will do."""
        if window is None or length <= window:
            return None
        if window not in self._masks:
            at = torch.arange(length, device=like.device)
            reach = at[:, None] - at[None, :]
            self._masks[window] = _additive((reach >= 0) & (reach < window), like)
        return self._masks[window]

    def token_mask(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """Additive mask [rows, 1, 1, longest block]; shared by the layers of one window size."""
        if window not in self._masks:
            at = torch.arange(max(length for _, _, length in self.blocks), device=like.device)
            reach = self.positions[:, None] - at
            seen = reach >= 0 if window is None else (reach >= 0) & (reach < window)
            self._masks[window] = _additive(seen, like)[:, None, None]
        return self._masks[window]


def _additive(seen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """0 where `seen`, -inf elsewhere, in the type of `like`."""
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill_(~seen, float("-inf"))


def slot_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    slot_step: SlotStep | None = None,
    sliding_window: int | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """Attention over a SlotCache; the signature is transformers'.

    Args:
        query: [B, heads, T, head_dim]; key, value: [B, kv_heads, T, head_dim], rotated already.
        slot_step: set by the engine's forward call; required.

    Returns:
        [B, T, heads, head_dim], and None for the attention weights.
    """
    if slot_step is None:
        raise RuntimeError(f"{type(module).__name__} does not pass keywords on to its attention function")
    for name in UNSUPPORTED:
        if kwargs.get(name) is not None:
            raise NotImplementedError(f"{type(module).__name__} asks for {name}, which this engine does not compute")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if slot_step.prefill:
        return _attend_prompts(module, query, key, value, scaling, slot_step, sliding_window), None
    return _attend_tokens(module, query, key, value, scaling, slot_step, sliding_window), None


def _attend_prompts(module, query, key, value, scaling, step: SlotStep, window: int | None) -> torch.Tensor:
    step.cache.write_prompts(module.layer_idx, step.slots, key, value)
    if module.layer_idx == step.last_layer:
        raise PromptsStored
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    mask = step.prompt_mask(query.shape[2], window, query)
    out = F.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None, scale=scaling)
    return out.transpose(1, 2).contiguous()


def _attend_tokens(module, query, key, value, scaling, step: SlotStep, window: int | None) -> torch.Tensor:
    """One query token a row. The heads that share keys stand together as the rows of one small product."""
    keys, values = step.cache.write_tokens(module.layer_idx, step.positions, key, value)
    rows, heads, _, width = query.shape
    kv_heads = key.shape[1]
    query = (query * scaling).reshape(rows * kv_heads, heads // kv_heads, width)
    keys, values = keys.flatten(0, 1), values.flatten(0, 1)
    out = query.new_empty(*query.shape[:2], values.shape[-1])
    mask = step.token_mask(window, query)
    for start, end, length in step.blocks:
        own = slice(start * kv_heads, end * kv_heads)
        scores = torch.bmm(query[own], keys[own, :, :length])
        scores.view(end - start, kv_heads, -1, length).add_(mask[start:end, ..., :length])
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
        torch.bmm(weights, values[own, :length], out=out[own])
    return out.view(rows, 1, heads, -1)


AttentionInterface.register(NAME, slot_attention)
