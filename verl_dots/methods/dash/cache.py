"""Rollouts of several steps that are sampled at once (DASH's preemptive sampling, arXiv 2505.17218)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from verl_dots.state_values import Values, Within
from verl_dots.stored import ReplayGroup, Requirement, groups_from_state, groups_state


class RolloutCache:
    """The batches of the steps to come, in their order, gone through `passes` times.

    The step that samples trains on the first batch itself, so that one comes into the cache only if it is used again.

    Args:
        passes: how often each batch is trained on.

    Raises:
        ValueError: passes below 1.
    """

    def __init__(self, passes: int):
        if passes < 1:
            raise ValueError(f"passes={passes} must be 1 or more")
        self.passes = passes
        self._batches: list[list[ReplayGroup]] = []
        self._used = 0  # steps that were made of what was sampled last

    @property
    def due(self) -> bool:
        """Whether everything has been used, and the next step must sample."""
        return self._used == self.passes * len(self._batches)

    @property
    def groups(self) -> int:
        """How many are held."""
        return sum(map(len, self._batches))

    def begin(self, batches: int) -> None:
        """A step samples this many batches and trains on the first."""
        self._batches, self._used = [[] for _ in range(batches)], 1

    def keep(self, batch: int, groups: list[ReplayGroup]) -> None:
        """Hold the groups of one of the batches."""
        self._batches[batch] = groups

    def take(self) -> tuple[list[ReplayGroup], bool]:
        """The next batch, and whether it was trained on before; it is held for as long as it will be needed."""
        if self.due:
            raise RuntimeError("all that was sampled has been used")
        turn, batch = divmod(self._used, len(self._batches))
        self._used += 1
        groups = self._batches[batch]
        if turn == self.passes - 1:
            self._batches[batch] = []
        return groups, turn > 0

    def state_dict(self) -> dict[str, Any]:
        groups = [group for batch in self._batches for group in batch]
        sizes = [len(batch) for batch in self._batches]
        return {"passes": self.passes, "used": self._used, "batches": sizes, "groups": groups_state(groups)}

    def load_state_dict(self, state: Mapping[str, Any], require: Requirement = lambda _: None) -> None:
        """Take over such a state.

        Raises:
            StateError: it is of other settings, has what no run can have saved, or what `require` refuses.
        """
        saved = Values("rollout cache", state, {"passes", "used", "batches", "groups"})
        saved.same("passes", "steps for each batch of dots.preemptive", self.passes)
        groups, sizes = groups_from_state(saved.raw("groups"), require), saved.wholes("batches")
        if sum(sizes) != len(groups):
            raise saved.wrong("batches", f"sizes of batches of {len(groups)} groups in all")
        used = saved.whole("used", Within(0, self.passes * len(sizes)))
        ends = np.cumsum([0, *sizes]).tolist()
        self._batches = [groups[start:end] for start, end in pairwise(ends)]
        self._used = used
