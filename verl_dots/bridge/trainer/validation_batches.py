"""verl's batches of validation questions, read and wrapped once for all validations of a run.

verl reads the data set again for each validation, and `get_tensordict` wraps each value of each row. That takes longer
than the engine needs for the first responses. What is wrapped already it takes as it is.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from verl.utils import tensordict_utils as tu
from verl.utils.dataset.rl_dataset import RLHFDataset

READ_BY_VERL = ("data_source", "__rollout_n__")  # value by value, before it wraps them


class ValidationBatches:
    """verl's loader of validation questions, which keeps what it has read.

    Args:
        loader: gives the same batches each time, see `are_always_the_same`.
    """

    def __init__(self, loader: Any):
        self._loader = loader
        self._kept: list[dict[str, Any]] | None = None  # once all have been read

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Batches as of the loader, each a dict of its own, with columns as `get_tensordict` would make them."""
        if self._kept is not None:
            yield from map(dict, self._kept)
            return
        read = []
        for batch in self._loader:
            read.append({name: _wrapped(name, values) for name, values in batch.items()})
            yield dict(read[-1])
        self._kept = read


def _wrapped(name: str, values: Any) -> Any:
    if name in READ_BY_VERL or not isinstance(values, np.ndarray):
        return values
    return tu.get_tensordict({name: values}).get(name)


def are_always_the_same(dataset: Any, processor: Any, shuffled: bool) -> bool:
    """Whether a loader of a data set has the same batches in each validation, and few enough bytes to keep them.

    Args:
        dataset: a user's own may make its rows anew.
        processor: of a model of images, whose rows are large.
        shuffled: `data.validation_shuffle`.
    """
    return type(dataset) is RLHFDataset and processor is None and not shuffled
