"""Saving a checkpoint: room for it first, whole or not at all, and old ones only removed once it is complete."""

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, open_dict
from ray.exceptions import RayError
from safetensors import SafetensorError

from verl_dots.checkpoints import (
    Needs,
    describe,
    faults,
    prune,
    revoke,
    size_of,
    step_of,
    write_tracker,
)  # fmt: skip
from verl_dots.manifest import write_manifest
from verl_dots.model_files import FSDP
from verl_dots.training.disk_space import DiskFullError, expected_bytes, free_bytes, full, require_room

logger = logging.getLogger(__name__)

LIMITS = ("max_actor_ckpt_to_keep", "max_critic_ckpt_to_keep")
DEPRECATED_LIMIT = "remove_previous_ckpt_in_save"
SPACE_ERRORS = ("No space left on device", "Disk quota exceeded")
OTHER_ERRORS = tuple(map(os.strerror, (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)))
TORCH_WRITER = ("PytorchStreamWriter", "inline_container")  # tell that a write failed, not why
LITTLE = 1 << 26  # bytes; a disk with less is taken for full where a write has failed


def save_whole(
    run: Path,
    step: int,
    config: DictConfig,
    needs: Needs,
    write: Callable[[Path], None],
    saved: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a checkpoint; when this returns it is complete, named by the tracker, and old ones are removed.

    Args:
        run: the run folder.
        step: of the checkpoint.
        config: the trainer's, for the numbers of checkpoints to keep.
        needs: what a checkpoint of this run must hold.
        write: writes the files into the folder that it is given.
        saved: called with it once it is complete and named.

    Raises:
        DiskFullError: there is no room; the checkpoints that are there stay as they are.
    """
    folder = run / f"global_step_{step}"
    keep = checkpoints_to_keep(config)
    needed = expected_bytes(run, config, needs)
    require_room(folder, needed)
    revoke(folder)
    try:
        with verl_removes_nothing(config):
            write(folder)
        missing = faults(folder, replace(needs, listed=False))  # the list comes last
        if not missing:
            write_manifest(folder, step)
            write_tracker(run, step)
    except (OSError, RuntimeError, RayError, SafetensorError) as error:
        if not _is_full(error, folder, needed):
            raise
        raise _ended(folder, needed) from error
    if missing:
        _judge_unfinished(folder, missing)
        return
    saved(folder)
    if keep and (gone := prune(run, keep, needs)):
        logger.info("%s: removed %s", run, ", ".join(old.name for old in gone))


def checkpoints_to_keep(config: DictConfig) -> int | None:
    """The greatest of verl's limits, for whole folders; None for no limit."""
    trainer = config.trainer
    if trainer.get(DEPRECATED_LIMIT, False):
        return 1
    limits = [limit for name in LIMITS if (limit := trainer.get(name, None)) is not None and limit > 0]
    return max(limits, default=None)


@contextmanager
def verl_removes_nothing(config: DictConfig) -> Iterator[None]:
    """verl removes old weights while the new checkpoint is under way, and only those of its own process."""
    trainer = config.trainer
    before = {name: trainer[name] for name in (*LIMITS, DEPRECATED_LIMIT) if name in trainer}
    with open_dict(config):
        trainer.update(dict.fromkeys(before, None))
    try:
        yield
    finally:
        with open_dict(config):
            trainer.update(before)


def _is_full(error: Exception, folder: Path, needed: int | None) -> bool:
    """Whether a failed save is for want of room; torch's writer does not say."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return True
    if any(text in str(error) for text in SPACE_ERRORS):
        return True
    if any(text in str(error) for text in OTHER_ERRORS):
        return False
    failed = isinstance(error, OSError) or any(word in str(error) for word in TORCH_WRITER)
    return failed and free_bytes(folder.parent) < max((needed or 0) - size_of(folder), LITTLE)


def _ended(folder: Path, needed: int | None) -> DiskFullError:
    """Take the half checkpoint away, which is of no use to anybody, and say what happened."""
    written = size_of(folder)
    error = full(folder, max(needed or 0, written + 1), written)
    revoke(folder)
    return error


def _judge_unfinished(folder: Path, missing: list[str]) -> None:
    """Engines that write in the background finish later, and tell verl's tracker themselves."""
    if (folder / "actor" / FSDP).is_file():
        logger.warning("%s cannot be resumed from: %s", folder, describe({folder: missing}))
    else:
        logger.info("step %s is still being saved", step_of(folder))
