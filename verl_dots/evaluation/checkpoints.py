"""What the argument CHECKPOINT names: a model, a checkpoint of verl's, or a run folder.

models/base                            a Hugging Face model folder; a hub id stands for itself
runs/mine/global_step_60               a checkpoint: actor/ holds FSDP shards, actor/huggingface/ config and tokenizer
runs/mine                              a run folder: its newest checkpoint with all weights
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from verl_dots.checkpoints import MANIFEST, WEIGHTS_ONLY, checkpoints_in, describe, newest_complete, weight_faults
from verl_dots.checkpoints import TRACKER as NEWEST
from verl_dots.model_files import FSDP as SHARDS
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

WEIGHTS = ("*.safetensors", "*.bin")


@dataclass(frozen=True)
class Checkpoint:
    """A model to evaluate.

    Attributes:
        name: for headings.
        model: folder or hub id with config and tokenizer, and with the weights unless there are shards.
        folder: what was named, or the newest checkpoint of the run that was named; None for a hub id.
        shards: folder of FSDP shards that must be merged first, or None.
    """

    name: str
    model: str
    folder: Path | None = None
    shards: Path | None = None


def find_checkpoint(given: str) -> Checkpoint:
    """The model that `given` names.

    Raises:
        ConfigError: there is no such folder, or it is none of the three.
    """
    path = Path(given).expanduser()
    if not path.is_dir():
        # The hub's ids are `name` or `owner/name`.
        if path.exists() or given.startswith((".", "/", "~")) or given.count("/") > 1:
            text = f"there is no folder {given!r}; give a model folder, a hub id, global_step_N, or a run"
            raise ConfigError(text, key=given, reason="file")
        return Checkpoint(given, given)
    if (path / "config.json").is_file():
        if not _has_weights(path):
            text = f"{given!r} has a config.json but no weights ({' or '.join(WEIGHTS)}){_hint(path)}"
            raise ConfigError(text, key=given, reason="file")
        return Checkpoint(path.resolve().name, str(path), path)
    if (path / NEWEST).is_file() or checkpoints_in(path):
        step = _newest(path)
        logger.info("%s: its newest checkpoint is %s", given, step.name)
        return _verl_checkpoint(step)
    if (path / SHARDS).is_file():
        return _verl_checkpoint(path.resolve().parent)
    if (path / "actor").is_dir() or path.name.startswith("global_step_"):
        return _verl_checkpoint(path)
    raise ConfigError(
        f"{given!r} is no model folder (config.json), no checkpoint of verl's (actor/) and no run folder ({NEWEST}); "
        f"it holds {sorted(entry.name for entry in path.iterdir())[:10]}",
        key=given,
        reason="file",
    )


def require_as_saved(checkpoint: Checkpoint) -> None:
    """Read the weights that a checkpoint was saved with, and compare them with its list of files, if it has one.

    Raises:
        ConfigError: a file of them has changed since, or is gone.
    """
    given = checkpoint.shards or Path(checkpoint.model).expanduser()
    for place in (Path(os.path.abspath(given)), given.resolve()):  # a link may lead into a checkpoint, or out of it
        step = place.parent if checkpoint.shards else place.parent.parent
        below = str(place.relative_to(step))
        if not (step / MANIFEST).is_file() or below.split("/")[0] != "actor":
            continue
        if found := weight_faults(step, below):
            text = f"{step}: {', '.join(found[:5])}; give another checkpoint"
            raise ConfigError(text, key=str(step), reason="damaged")
        return


def _newest(run: Path) -> Path:
    """The newest checkpoint with all its weights; else the one that verl's tracker names, to say what it lacks."""
    found, skipped = newest_complete(run, WEIGHTS_ONLY)
    if found is not None:
        if skipped:
            logger.warning("%s: left out %s", run, describe(skipped))
        return found
    text = (run / NEWEST).read_bytes().decode(errors="replace").strip() if (run / NEWEST).is_file() else ""
    step = run / f"global_step_{text}"
    if not text.isdigit() or not step.is_dir():
        there = sorted(entry.name for entry in run.glob("global_step_*"))
        text = f"{run / NEWEST} says {text!r}, but there is no {step.name}; name one of {there} instead"
        raise ConfigError(text, key=str(run / NEWEST), reason="file")
    return step


def _verl_checkpoint(step: Path) -> Checkpoint:
    actor = step / "actor"
    hugging_face = actor / "huggingface"
    name = "/".join(step.resolve().parts[-2:])
    if not actor.is_dir():
        raise ConfigError(
            f"{str(step)!r} holds no actor/: a run keeps the weights of its last trainer.max_actor_ckpt_to_keep "
            "checkpoints only; name a newer one",
            key=str(step),
            reason="file",
        )
    if (hugging_face / "config.json").is_file() and _has_weights(hugging_face):
        return Checkpoint(name, str(hugging_face), step)  # trainer.checkpoint.save_contents had hf_model
    if not (actor / SHARDS).is_file() or not (hugging_face / "config.json").is_file():
        raise ConfigError(
            f"{str(actor)!r} holds no FSDP checkpoint ({SHARDS}, huggingface/config.json); merge one of another kind "
            "with `python -m verl.model_merger merge --backend megatron --local_dir ... --target_dir MODEL` and give "
            "MODEL",
            key=str(actor),
            reason="file",
        )
    return Checkpoint(name, str(hugging_face), step, actor)


def _has_weights(folder: Path) -> bool:
    return any(True for pattern in WEIGHTS for _ in folder.glob(pattern))


def _hint(folder: Path) -> str:
    resolved = folder.resolve()
    if resolved.name == "huggingface" and resolved.parent.name == "actor":
        return f"; the shards are in the checkpoint, give {str(resolved.parents[1])!r}"
    return "; give the folder that holds them"
