"""verl's workers, whose generators of random numbers begin with the seed of their engine.

Torch begins every process with a seed of its own: weights that begin at random, of LoRA and of a critic's head, and
dropout would differ between runs of one seed. verl seeds its engines with `full_determinism` alone, which also changes
kernels. `fsdp_config.seed` and its like, verl's own, are read here in any case.
"""

import random
from typing import Any

import numpy as np
import torch
from verl.workers.engine_workers import ActorRolloutRefWorker, TrainingWorker, TrainingWorkerConfig


class SeededTrainingWorker(TrainingWorker):
    """An engine whose first random number follows from its seed.

    All ranks begin alike, since verl's replicas take it that weights which each rank draws for itself are the same.
    """

    def __init__(self, config: TrainingWorkerConfig):
        super().__init__(config)
        seed = self.engine_config.seed
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


class SeededActorWorker(ActorRolloutRefWorker):
    """An actor, with its reference and its rollouts, on seeded engines."""

    actor_worker_cls = SeededTrainingWorker
    ref_worker_cls = SeededTrainingWorker


SEEDED: dict[type, type[Any]] = {ActorRolloutRefWorker: SeededActorWorker, TrainingWorker: SeededTrainingWorker}
