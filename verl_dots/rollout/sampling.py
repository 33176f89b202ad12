"""Draw one token a row. Pure: the random numbers are an argument."""

import numpy as np
import torch

GREEDY_BELOW = 1e-6


def sample_tokens(
    logits: torch.Tensor,
    temperature: torch.Tensor,
    uniform: torch.Tensor,
    top_p: torch.Tensor | None = None,
    top_k: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the next token of every row by inverting its cumulative distribution.

    Each row depends on its own inputs only, so a row draws the same token in any batch.

    Args:
        logits: [N, V], any float type; computed on in float32.
        temperature: [N] float; a row below 1e-6 takes its most likely token.
        uniform: [N] float64 in [0, 1): the one random number of each row.
        top_p: [N] float in (0, 1], or None for no row restricted.
        top_k: [N] int64, values below 1 mean all tokens, or None for no row restricted.

    Returns:
        tokens [N] int64, and log_probs [N] float32: ln softmax(logits / temperature) at the token,
        over the whole vocabulary whatever top_p and top_k (temperature 1 where greedy).
    """
    if logits.ndim != 2 or temperature.shape != logits.shape[:1] or uniform.shape != logits.shape[:1]:
        shapes = f"{tuple(logits.shape)}, {tuple(temperature.shape)}, {tuple(uniform.shape)}"
        raise ValueError(f"want logits [N, V], temperature [N], uniform [N]; got {shapes}")
    greedy = temperature < GREEDY_BELOW
    if greedy.all():
        log_probs = torch.log_softmax(logits.float(), dim=-1)
        tokens = log_probs.argmax(dim=-1)
        return tokens, log_probs.gather(-1, tokens[:, None])[:, 0]
    scale = torch.where(greedy, torch.ones_like(temperature), temperature).float()
    log_probs = torch.log_softmax(logits.float() / scale[:, None], dim=-1)
    weights = log_probs.exp()
    if top_k is not None:
        weights = _keep_top_k(weights, top_k)
    if top_p is not None:
        weights = _keep_top_p(weights, top_p)
    tokens = _invert(weights, uniform)
    if greedy.any():
        tokens = torch.where(greedy, log_probs.argmax(dim=-1), tokens)
    return tokens, log_probs.gather(-1, tokens[:, None])[:, 0]


def _invert(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """First token whose cumulative weight exceeds uniform * total; never one of weight 0."""
    cumulative = weights.double().cumsum(dim=-1)
    total = cumulative[:, -1]
    # Rounded up to the total itself, the target would lie beyond the last token.
    target = torch.minimum(uniform.double() * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, target[:, None], right=True)[:, 0]


def _keep_top_k(weights: torch.Tensor, top_k: torch.Tensor) -> torch.Tensor:
    """Zero all but the top_k largest weights of each row (ties at the border are all kept)."""
    vocabulary = weights.shape[-1]
    rank = torch.where(top_k < 1, vocabulary, top_k.clamp(max=vocabulary))
    ordered = _descending(weights)
    border = ordered.gather(-1, rank[:, None] - 1)
    return weights.masked_fill(weights < border, 0.0)


def _keep_top_p(weights: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Zero the tokens after the smallest set, by falling weight, that holds top_p of the row's total.

    Of equal weights at the border the first tokens are in the set.
    """
    ordered = _descending(weights)
    before = ordered.cumsum(dim=-1) - ordered
    # A row with top_p 1 keeps everything, whatever its sum rounds to.
    kept = (before < (top_p.to(weights) * ordered.sum(dim=-1))[:, None]) | (top_p >= 1)[:, None]
    count = kept.sum(dim=-1, keepdim=True).clamp(min=1)
    border = ordered.gather(-1, count - 1)
    above, equal = weights > border, weights == border
    room = count - above.sum(dim=-1, keepdim=True)
    return weights.masked_fill(~(above | (equal & (equal.cumsum(dim=-1) <= room))), 0.0)


def _descending(weights: torch.Tensor) -> torch.Tensor:
    """The weights of each row by falling size. On a CPU NumPy sorts them 15 times as fast as torch."""
    if weights.device.type != "cpu":
        return weights.sort(dim=-1, descending=True).values
    return torch.from_numpy(np.sort(weights.numpy(), axis=-1)[:, ::-1].copy())
