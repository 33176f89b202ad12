"""Checkpoints as verl's FSDP workers write them, without the workers: real DTensors of any world size."""

import json
import shutil
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore


def save_checkpoint(step: Path, model: Path, world_size: int = 2) -> Path:
    """Shard the weights of a model folder into `step`/actor, which is returned.

    Every parameter is split along its first axis, the first rank's part being the larger one.
    """
    actor = step / "actor"
    (actor / "huggingface").mkdir(parents=True)
    for file in model.iterdir():
        if file.suffix != ".safetensors":
            shutil.copy(file, actor / "huggingface")
    weights = load_file(model / "model.safetensors")
    for rank in range(world_size):
        dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world_size)  # which talks to nobody
        try:
            mesh = init_device_mesh("cpu", (world_size,), mesh_dim_names=("fsdp",))
            shards = {
                name: DTensor.from_local(
                    weight.chunk(world_size)[rank].clone(), mesh, [Shard(0)],
                    shape=weight.shape, stride=weight.stride(), run_check=False,
                )
                for name, weight in weights.items()
            }  # fmt: skip
            torch.save(shards, actor / f"model_world_size_{world_size}_rank_{rank}.pt")
        finally:
            dist.destroy_process_group()
    (actor / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": world_size}))
    return actor
