"""The FSDP shards of a verl checkpoint as one model folder: made once, kept in the checkpoint, whole or not there.

verl's own merger does it, but for one thing: verl rounds every weight to bfloat16, which is not the policy that was
trained where the rollouts are float32. Here the weights have the dtype that the engine will compute in.
"""

import contextlib
import io
import json
import logging
import os
import pickle
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from verl.model_merger.base_model_merger import ModelMergerConfig
from verl.model_merger.fsdp_model_merger import FSDPModelMerger, merge_non_dtensor_shards

from verl_dots.files import parse_json
from verl_dots.pickles import entries_of, load, require_harmless
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

SOURCE = "merged_from.json"
# What verl's merger and transformers raise of files that are no checkpoint's.
UNREADABLE = (
    OSError, RuntimeError, ValueError, TypeError, AttributeError, AssertionError, EOFError, LookupError,
    pickle.UnpicklingError,
)  # fmt: skip


def merged(actor: Path, dtype: str, trust_remote_code: bool = False) -> Path:
    """Folder with the merged model: `actor/merged-DTYPE`. Shards that have changed since are merged again.

    Args:
        actor: folder of the shards, with `huggingface/` in it.
        dtype: torch's name of the weights' dtype; any other name leaves them as they are.

    Raises:
        ConfigError: the shards are damaged, or an adapter's (LoRA); the folder cannot be written.
    """
    target = actor / f"merged-{dtype}"
    source = _source_of(actor)
    if _recorded(target) == source:
        return target
    if strange := _strange(actor, target):
        text = f"{target} is there, and holds {strange}, which no merged model has; move it away"
        raise ConfigError(text, key=str(target), reason="excluded")
    logger.info("merging the shards in %s into %s", actor, target.name)
    partial = actor / f".{target.name}.{uuid.uuid4().hex}.partial"
    try:
        for file in entries_of(actor):
            if file.suffix == ".pt":
                require_harmless(file)  # verl's merger reads one of them in its own way
        _merge(actor, partial, dtype, trust_remote_code)
        (partial / SOURCE).write_text(json.dumps(source, indent=2) + "\n")
        _move(partial, target, source)
    except PermissionError as error:
        raise ConfigError(
            f"{actor} cannot be written ({error}); merge by hand with `python -m verl.model_merger merge --backend "
            f"fsdp --local_dir {actor} --target_dir MODEL` and give MODEL",
            key=str(actor),
            reason="file",
        ) from error
    except ConfigError:
        raise
    except UNREADABLE as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        text = f"the shards in {actor} cannot be merged ({told:.300}); give an earlier checkpoint"
        raise ConfigError(text, key=str(actor), reason="file") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _named_tensors(file: Path, found: Any) -> dict[str, torch.Tensor]:
    """What a shard holds. Raises ValueError for anything but tensors by name."""
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    ):
        raise ValueError(f"{file.name} does not hold tensors by name")
    return found


class DtypeMerger(FSDPModelMerger):
    """verl's merger, with weights of a chosen dtype (None: as they were saved)."""

    def __init__(self, config: ModelMergerConfig, dtype: torch.dtype | None):
        super().__init__(config)
        self.dtype = dtype

    def _load_and_merge_state_dicts(
        self, world_size: int, total_shards: int, mesh_shape: tuple[int, ...], mesh_dim_names: tuple[str, ...]
    ) -> dict[str, torch.Tensor]:
        folder = Path(self.config.local_dir)
        files = [folder / f"model_world_size_{world_size}_rank_{rank}.pt" for rank in range(total_shards)]
        shards = [_named_tensors(file, load(file)) for file in files]
        if any(shard.keys() != shards[0].keys() for shard in shards):
            raise ValueError("they do not hold weights of the same names")
        if any("lora_" in name for name in shards[0]):
            raise ConfigError(
                f"{folder} holds a LoRA adapter; merge it into its base model (verl.model_merger and peft's "
                "merge_and_unload) and give the folder of that",
                key=str(folder),
                reason="file",
            )
        return {name: self._whole(name, [shard.pop(name) for shard in shards]) for name in sorted(shards[0])}

    def _whole(self, name: str, shards: Sequence[torch.Tensor]) -> torch.Tensor:
        if isinstance(shards[0], DTensor):
            # The last placement is FSDP's; one before it is that of its replicas.
            whole = self._merge_by_placement([shard.to_local() for shard in shards], shards[0].placements[-1])
        else:
            whole = merge_non_dtensor_shards(name, list(shards))
        return whole.to(self.dtype) if self.dtype is not None and whole.is_floating_point() else whole


def _merge(actor: Path, target: Path, dtype: str, trust_remote_code: bool) -> None:
    config = ModelMergerConfig(
        operation="merge", backend="fsdp", local_dir=str(actor), target_dir=str(target),
        hf_model_config_path=str(actor / "huggingface"), trust_remote_code=trust_remote_code,
    )  # fmt: skip
    found = getattr(torch, dtype, None)
    wanted = found if isinstance(found, torch.dtype) else None
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        DtypeMerger(config, wanted).merge_and_save()
    logger.debug("verl's merger: %s", output.getvalue())
    _describe(target, actor / "huggingface", wanted)


def _describe(target: Path, given: Path, dtype: torch.dtype | None) -> None:
    """Name the dtype that the weights have, and keep the tokenizer as it was saved with the shards."""
    for file in given.iterdir():
        if file.is_file() and file.name != "config.json":
            shutil.copyfile(file, target / file.name)
    # verl calls them bfloat16 whatever they are; a loader that goes by the config would round them.
    described = parse_json((target / "config.json").read_text())
    own = parse_json((given / "config.json").read_text())
    described["dtype"] = str(dtype).removeprefix("torch.") if dtype else own.get("dtype", own.get("torch_dtype"))
    (target / "config.json").write_text(json.dumps(described, indent=2) + "\n")


def _source_of(actor: Path) -> list[list]:
    """Name, size and time of each shard; JSON values."""
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in sorted(actor.glob("model_world_*"))]


def _recorded(target: Path) -> list[list] | None:
    try:
        return parse_json((target / SOURCE).read_text())
    except (OSError, ValueError):
        return None


def _strange(actor: Path, target: Path) -> str:
    """Name of something in the place of a merged model that no merge has left there; "" for nothing.

    Where the record is missing, a machine that lost power may have left a part of the model.
    """
    if not os.path.lexists(target) or (target / SOURCE).is_file():
        return ""
    if not target.is_dir():
        return "a file"
    known = {file.name for file in (actor / "huggingface").glob("*")}
    left = (
        file for file in target.iterdir() if file.name not in known and file.suffix not in (".json", ".safetensors")
    )
    return next((file.name for file in left), "")


def _move(partial: Path, target: Path, source: list[list]) -> None:
    """Put the folder in its place; an outdated one goes, one that another process has just put there stays."""
    if target.exists() and _recorded(target) != source:
        outdated = partial.with_name(f"{partial.name}.outdated")
        target.rename(outdated)
        shutil.rmtree(outdated, ignore_errors=True)
    try:
        partial.rename(target)
    except OSError:
        if _recorded(target) != source:
            raise
