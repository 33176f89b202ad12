"""verl's workers: their generators begin with the seed of their engine, and a save leaves no free memory with them.

Torch begins every process with a seed of its own: weights that begin at random, of LoRA and of a critic's head, and
dropout would differ between runs of one seed. verl seeds its engines with `full_determinism` alone, which also changes
kernels. `fsdp_config.seed` and its like, verl's own, are read here in any case.
"""

import ctypes
import random
from typing import Any

import numpy as np
import torch
from verl.single_controller.base.decorator import Dispatch, register
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

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def save_checkpoint(self, local_path, hdfs_path=None, global_step=0, max_ckpt_to_keep=None):
        """verl's. What is free in the heap is then the system's: in pieces it would grow for thousands of steps."""
        super().save_checkpoint(local_path, hdfs_path, global_step, max_ckpt_to_keep)
        return_free_memory()


def return_free_memory() -> None:
    """Give the system the pages of the heap that hold nothing; by itself glibc gives those at its end alone."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's
        trim(0)


class SeededActorWorker(ActorRolloutRefWorker):
    """An actor, with its reference and its rollouts, on seeded engines."""

    actor_worker_cls = SeededTrainingWorker
    ref_worker_cls = SeededTrainingWorker


SEEDED: dict[type, type[Any]] = {ActorRolloutRefWorker: SeededActorWorker, TrainingWorker: SeededTrainingWorker}
