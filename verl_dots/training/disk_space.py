"""Room on the disk for a checkpoint."""

import shutil
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_dots.checkpoints import Needs, bytes_of, checkpoints_in, newest_complete, size_of
from verl_dots.files import read_json
from verl_dots.settings import ConfigError
from verl_dots.sizes import MOMENTS, checkpoint
from verl_dots.training.parts import has_critic
from verl_dots.training.shapes import shape_of

BYTES = {"fp32": 4, "float32": 4, "bf16": 2, "bfloat16": 2, "fp16": 2, "float16": 2}


class DiskFullError(RuntimeError):
    """There is no room for a checkpoint; the message names the folder and the bytes."""


def expected_bytes(run: Path, config: DictConfig, needs: Needs) -> int | None:
    """Size of the newest complete checkpoint; before the first, what follows from the model's; None if unknown."""
    newest, _ = newest_complete(run, needs)
    if newest is not None:
        return bytes_of(newest)
    return _estimate(config)


def require_room(folder: Path, needed: int | None) -> None:
    """Raise DiskFullError where a checkpoint of `needed` bytes has no room at `folder`."""
    if needed is None:
        return
    there = size_of(folder)  # is written over
    if free_bytes(folder.parent) + there < needed:
        raise full(folder, needed)


def free_bytes(run: Path) -> int:
    """Room on the disk of a folder, which may not be there yet."""
    while not run.exists():
        run = run.parent
    return shutil.disk_usage(run).free


def _estimate(config: DictConfig) -> int | None:
    """The model's parameters, times what AdamW and the contents make of each; twice with a critic."""
    actor = config.actor_rollout_ref.actor
    if OmegaConf.select(config, "actor_rollout_ref.model.lora_rank"):
        return None
    parameters = _parameters(str(config.actor_rollout_ref.model.path))
    if parameters is None:
        return None
    kept = BYTES.get(OmegaConf.select(actor, "fsdp_config.model_dtype"), 2)
    contents = OmegaConf.select(actor, "checkpoint.save_contents") or Needs.contents
    adam = OmegaConf.select(actor, "optim.optimizer") in ("Adam", "AdamW")
    moments = MOMENTS if adam and "optimizer" in contents else 0
    one = checkpoint(parameters, kept, weights="model" in contents, moments=moments)
    return one * (2 if has_critic(config) else 1)


def _parameters(model: str) -> int | None:
    """By the size of the weights in a folder; else, as of a hub id that is not fetched yet, by the config."""
    folder = Path(model).expanduser()
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if weights:
        described = read_json(folder / "config.json", advice="give a whole model")
        return weights // BYTES.get(described.get("dtype") or described.get("torch_dtype"), 4)
    try:
        return shape_of(model).parameters
    except ConfigError:
        return None


def full(folder: Path, needed: int, written: int = 0) -> DiskFullError:
    """The error for a checkpoint that needs so many bytes, `written` of which are there already."""
    complete = [there.name for there in checkpoints_in(folder.parent) if there != folder]
    last = f"{complete[-1]} is there to resume from" if complete else "there is no earlier checkpoint"
    return DiskFullError(
        f"the disk of {folder.parent} is full: {folder.name} needs about {needed:,} bytes, "
        f"{free_bytes(folder.parent) + written:,} are free. Make room, or keep fewer checkpoints "
        f"(trainer.max_actor_ckpt_to_keep), and start the run again: {last}"
    )


def require_room_to_begin(run: Path, config: DictConfig, needs: Needs) -> None:
    """Refuse a run whose first checkpoint has no room.

    Raises:
        ConfigError: see `require_room`.
    """
    if config.trainer.save_freq > 0:
        try:
            require_room(run / "global_step_N", expected_bytes(run, config, needs))
        except DiskFullError as error:
            raise ConfigError(
                f"trainer.default_local_dir: {error}", key="trainer.default_local_dir", reason="machine"
            ) from error
