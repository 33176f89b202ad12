"""A run takes its folder: alone in it, with a checkpoint to resume from or none, and with room for the next."""

from pathlib import Path

from omegaconf import DictConfig

from verl_dots.training.disk_space import require_room_to_begin
from verl_dots.training.resume import find_checkpoint, repair_tracker, saved_by
from verl_dots.training.run_lock import COMMAND, TRAINER, hold, require_free


def claim_run(config: DictConfig) -> None:
    """Hold the run folder for the life of this command, and refuse what the trainer would refuse a minute later.

    Raises:
        ConfigError: another run is in the folder; there are checkpoints of which none can be resumed from; they are of
            another run; there is no room for a checkpoint.
    """
    run = Path(config.trainer.default_local_dir)
    hold(run, COMMAND)
    require_free(run, TRAINER)  # of a run whose command has ended already
    repair_tracker(config, find_checkpoint(config))
    require_room_to_begin(run, config, saved_by(config))
