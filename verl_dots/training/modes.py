"""verl's modes with this package's step and run folder: how rollouts and training take turns.

    dots, sync       a step trains on what it has asked for
    colocate_async   rollouts go on between the updates, on the same devices; a step takes what is complete

`separate_async` has devices of its own for rollouts; see `launch.combinations` for why it is refused.
"""

from verl.trainer.ppo.v1 import PPOTrainerColocateAsync, PPOTrainerSync, register_trainer
from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

from verl_dots.training.async_trainer import AsyncTrainer
from verl_dots.training.trainer import DotsTrainer


@register_trainer("dots")
class SyncTrainer(DotsTrainer, PPOTrainerSync):
    """Synchronous; with `dots` at its defaults it trains exactly as verl's own."""

    mode = "sync"


class ColocateAsyncTrainer(AsyncTrainer, PPOTrainerColocateAsync):
    """Rollouts that a step cuts off go on after its update, with the new weights."""

    mode = "colocate_async"


MODES = {"sync": SyncTrainer, ColocateAsyncTrainer.mode: ColocateAsyncTrainer}


def take_the_place_of_verls(registry: dict[str, type] = TRAINER_REGISTRY) -> None:
    """Have verl make these trainers of its own modes, in this process."""
    registry.update(MODES)
