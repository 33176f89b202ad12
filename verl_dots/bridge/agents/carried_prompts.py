"""Prompts on their way to the agent loop workers: columns of objects travel as plain lists.

verl's batch wraps each value of each row. To pickle the wrappers, to unpickle them and to take them off again costs
more than the values. A worker unpacks a prompt as it begins with it.
"""

from typing import Any

import torch
from tensordict import NonTensorData, NonTensorStack, TensorDict

COLUMNS, PLACE = "__columns__", "__place__"


class CarriedPrompts:
    """What verl's manager takes for a batch of prompts; it cuts it into one part a worker."""

    def __init__(self, prompts: TensorDict):
        self._prompts = prompts

    def chunk(self, parts: int) -> list[TensorDict]:
        """As of a TensorDict, of packed parts."""
        return [_packed(part) for part in self._prompts.chunk(parts)]


def _packed(prompts: TensorDict) -> TensorDict:
    columns = {name: values.tolist() for name, values in prompts.items() if isinstance(values, NonTensorStack)}
    batch = prompts.exclude(*columns)
    batch[PLACE] = torch.arange(len(prompts))
    batch[COLUMNS] = NonTensorData(columns)
    if "index" in columns:  # which verl's worker reads as a whole
        batch["index"] = NonTensorData(columns["index"])
    return batch


def unpacked(prompt: dict[str, Any]) -> dict[str, Any]:
    """Fields of one prompt, which verl's worker took from a packed batch, or from another."""
    columns = prompt.pop(COLUMNS, None)
    if columns is None:
        return prompt
    place = int(prompt.pop(PLACE))
    return prompt | {name: values[place] for name, values in columns.items()}
