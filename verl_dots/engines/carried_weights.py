"""Weights as Ray carries them without a copy: arrays of bytes. It pickles tensors, which takes ten times as long."""

import warnings
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch


class Carried(NamedTuple):
    """One tensor. An array has no bfloat16, so `data` [bytes] uint8 is what memory holds."""

    data: np.ndarray
    dtype: torch.dtype
    shape: tuple[int, ...]


def carried(weights: Iterable[tuple[str, torch.Tensor]]) -> dict[str, Carried]:
    """Copies in main memory, by name."""
    copies = {}
    for name, tensor in weights:
        copy = torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())
        copies[name] = Carried(copy.flatten().view(torch.uint8).numpy(), copy.dtype, tuple(copy.shape))
    return copies


def arrived(weights: Mapping[str, Carried]) -> dict[str, torch.Tensor]:
    """The tensors again, to be read alone: they may lie in Ray's shared memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return {name: torch.from_numpy(one.data).view(one.dtype).reshape(one.shape) for name, one in weights.items()}
