"""Which prompts are computed in one forward pass: all of them cost as many positions as the longest has."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch

Prompt = TypeVar("Prompt")
# Positions whose arithmetic a device does in the time that a pass takes for itself; of others all are in one pass.
PASS_POSITIONS = {"cpu": 128}


def prompt_lots(prompts: Iterable[Prompt], length: Callable[[Prompt], int], device: str) -> list[list[Prompt]]:
    """Prompts in lots, the longest first; a further lot has to spare more positions than it costs.

    Args:
        prompts: to compute.
        length: positions that one of them takes.
        device: torch's name of its kind.
    """
    order = sorted(prompts, key=length, reverse=True)
    lots: list[list[Prompt]] = []
    for number, prompt in enumerate(order):
        spared = (length(lots[-1][0]) - length(prompt)) * (len(order) - number) if lots else 0
        if not lots or spared > PASS_POSITIONS.get(device, spared):
            lots.append([])
        lots[-1].append(prompt)
    return lots


def padded(prompts: Sequence[Sequence[int]], length: int) -> torch.Tensor:
    """Prompts of at most `length` tokens as the rows of one matrix [prompts, length] int64, zeros behind them."""
    tokens = torch.zeros(len(prompts), length, dtype=torch.int64)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = torch.tensor(prompt)
    return tokens
