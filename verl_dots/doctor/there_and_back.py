"""An optimizer that changes all weights in its first step and takes that back in its second.

verl makes it by `actor.optim.optimizer_impl` and `actor.optim.optimizer`. Everything else of a run is as it is: what
the engine says then tells whether verl's own update has brought it other weights, and the first ones again.
"""

from collections.abc import Callable
from typing import Any

import torch

SIZE = 0.05  # of the change; weights of the tiny model are tenths
FREQUENCY = 1e4  # at which neighbouring weights change by unrelated amounts


class ThereAndBack(torch.optim.Optimizer):
    """Ignores gradients. The change follows from each weight alone, so shards and copies of it agree.

    Args:
        lr: for schedules that change it; nothing reads it.
    """

    def __init__(self, params: Any, lr: float = 0.0, **_: Any):
        super().__init__(params, {"lr": lr})
        self._steps = 0

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        """Change the weights, or change them back; after that nothing."""
        self._steps += 1
        for weight in (weight for group in self.param_groups for weight in group["params"]):
            if self._steps == 1:
                self.state[weight]["first"] = weight.detach().clone()
                weight.add_(torch.sin(weight * FREQUENCY) * SIZE)
            elif self._steps == 2:
                weight.copy_(self.state[weight].pop("first"))
