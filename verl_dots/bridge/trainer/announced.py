"""When verl says that a checkpoint is there: once it is complete, not once verl's own files are.

verl writes its tracker and calls its callback as soon as it has written its files. Where they are written in the
background it leaves both to whoever finishes them. That is asked of the trainer here; its workers have settings of
their own, and write at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import open_dict
from verl.trainer.ppo.checkpoint_callback import CheckpointCallback


@contextmanager
def unannounced(trainer: Any) -> Iterator[None]:
    """verl saves a checkpoint without telling anybody; one that it finishes in the background it tells of itself."""
    checkpoint, callback = trainer.config.actor_rollout_ref.actor.checkpoint, trainer.checkpoint_callback
    if checkpoint.get("async_save", False):
        yield
        return
    trainer.checkpoint_callback = CheckpointCallback()
    with open_dict(checkpoint):
        checkpoint.async_save = True
    try:
        yield
    finally:
        checkpoint.async_save = False
        trainer.checkpoint_callback = callback


def announce(trainer: Any, folder: Path) -> None:
    """Call verl's callback for a checkpoint that was saved `unannounced`."""
    if not trainer.config.actor_rollout_ref.actor.checkpoint.get("async_save", False):
        step = trainer.global_steps
        trainer.checkpoint_callback.on_save(
            trainer=trainer, global_step=step, checkpoint_dir=str(folder), async_save=False
        )
