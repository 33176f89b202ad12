"""The memory of a node, beside what a run on GPUs takes of it: a batch system ends a process that takes more."""

import logging

from omegaconf import DictConfig

from verl_dots.processes.control_groups import free_memory
from verl_dots.settings import ConfigError
from verl_dots.sizes import host_memory, size_text
from verl_dots.training.parts import has_reference
from verl_dots.training.shapes import shape_of

logger = logging.getLogger(__name__)


def check_memory(config: DictConfig) -> None:
    """Warn where this node, or the job's part of it, has less memory free than the formula says.

    Nothing is said of a model whose shape cannot be told, or of one with other parts than a language model.
    """
    try:
        shape = shape_of(config.actor_rollout_ref.model.path)
    except ConfigError:
        return
    needed, free = host_memory(shape, config.trainer.n_gpus_per_node, has_reference(config)), free_memory()
    if free < needed:
        logger.warning(
            "the run may take %s of memory on each node, and this job may take %s more here: ask for more, by --mem=0 "
            "for all of a node of SLURM; else a save may end it. The formula is host_memory of verl_dots/sizes.py",
            size_text(needed),
            size_text(free),
        )
