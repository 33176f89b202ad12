"""Run folders as verl and the trainer leave them, without either: real files of the real layout, a few bytes each."""

import json
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torchdata.stateful_dataloader import StatefulDataLoader

from verl_dots.checkpoints import write_tracker
from verl_dots.manifest import write_manifest
from verl_dots.state import save_state
from verl_dots.training.fingerprints import fingerprints
from verl_dots.training.run_record import RunRecord, save_record


def run_config(run: Path, **changes: Any) -> DictConfig:
    """As much of a config as a resume looks at; `changes` by dotted key, "__" for a dot."""
    config = OmegaConf.create({
        "dots": {"seed": 1, "preset": "grpo", "trust_checkpoint": False, "replay": {"enable": False, "capacity": 8}},
        "data": {"seed": 1, "train_files": str(run.parent / "train.parquet"), "train_batch_size": 8},
        "algorithm": {"adv_estimator": "grpo"},
        "critic": {"enable": None},
        "actor_rollout_ref": {
            "model": {"path": str(run.parent / "model"), "lora_rank": 0},
            "actor": {
                "policy_loss": {"loss_mode": "vanilla"},
                "optim": {"optimizer": "AdamW", "lr": 1e-6, "total_training_steps": -1},
                "fsdp_config": {"model_dtype": "fp32"},
                "checkpoint": {"save_contents": ["model", "optimizer", "extra"],
                               "load_contents": ["model", "optimizer", "extra"], "async_save": False},
            },
            "rollout": {"n": 4, "temperature": 1.0, "val_kwargs": {"n": 1}},
        },
        "trainer": {
            "default_local_dir": str(run), "resume_mode": "auto", "resume_from_path": None, "save_freq": 2,
            "total_training_steps": 4, "nnodes": 1, "n_gpus_per_node": 1, "experiment_name": "grpo",
            "max_actor_ckpt_to_keep": None, "max_critic_ckpt_to_keep": None, "v1": {"trainer_mode": "dots"},
        },
    })  # fmt: skip
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
    return config


def stock_checkpoint(run: Path, step: int, ranks: int = 1, critic: bool = False) -> Path:
    """A checkpoint as verl's FSDP workers write it, and its tracker."""
    folder = run / f"global_step_{step}"
    for part in (folder / "actor", folder / "critic") if critic else (folder / "actor",):
        (part / "huggingface").mkdir(parents=True)
        (part / "huggingface" / "config.json").write_text("{}")
        for rank in range(ranks):
            for kind in ("model", "optim", "extra_state"):
                torch.save({"rank": rank, "kind": kind}, part / f"{kind}_world_size_{ranks}_rank_{rank}.pt")
        (part / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": ranks}))
    torch.save(StatefulDataLoader([step]).state_dict(), folder / "data.pt")
    (run / "latest_checkpointed_iteration.txt").write_text(str(step))
    return folder


def own_checkpoint(run: Path, step: int, config: DictConfig | None = None, states: tuple[str, ...] = ()) -> Path:
    """A checkpoint of the trainer's: complete, with its settings."""
    config = run_config(run) if config is None else config
    folder = stock_checkpoint(run, step)
    for name in states:
        save_state(folder / f"{name}.safetensors", name, {"questions": None, "state": {}})
    totals = {"wall_seconds": 9.0, "train_seconds": 6.0, "generated_tokens": 30, "generated_rollouts": 12}
    row = {"training/generated_tokens": 10, "critic/score/mean": 0.5}
    save_record(folder, RunRecord(step, totals, row, fingerprints(config)), OmegaConf.to_container(config))
    write_manifest(folder, step)
    write_tracker(run, step)
    return folder
