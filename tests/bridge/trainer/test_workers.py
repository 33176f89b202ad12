"""verl's workers: weights that begin at random are those of the seed, in every process; free memory is given back."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.launches import PATIENCE_SECONDS
from verl_dots.bridge.trainer.workers import return_free_memory

ROOT = Path(__file__).parents[3]
BEGIN = """
import json, os, random, sys
import numpy as np
from verl_dots.processes.environment import prepare_environment
prepare_environment(cpu=True)
import torch
from omegaconf import OmegaConf
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.engine_workers import TrainingWorkerConfig
from verl_dots.bridge.trainer.workers import SeededTrainingWorker
from verl_dots.engines import training
from verl_dots.launch.compose import compose

os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
torch.distributed.init_process_group("cpu:gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
for seed in (42, 42, 43):
    config = compose([
        "device=cpu", f"actor_rollout_ref.model.path={sys.argv[1]}", "actor_rollout_ref.model.lora_rank=4",
        f"actor_rollout_ref.actor.fsdp_config.seed={seed}",
    ])
    actor = config.actor_rollout_ref.actor
    actor.ppo_mini_batch_size = actor.optim.total_training_steps = 8
    OmegaConf.resolve(config)
    typed = omega_conf_to_dataclass(actor)
    worker = SeededTrainingWorker(TrainingWorkerConfig(
        model_type="language_model", model_config=omega_conf_to_dataclass(config.actor_rollout_ref.model),
        engine_config=typed.engine, optimizer_config=typed.optim, checkpoint_config=typed.checkpoint,
    ))
    worker.reset()
    drawn = [weight for name, weight in worker.engine.module.named_parameters() if "lora_A" in name]
    size = sum(weight.full_tensor().double().abs().sum().item() for weight in drawn)
    print(json.dumps([size, torch.rand(1).item(), np.random.rand(), random.random()]))
"""


def test_a_worker_begins_as_its_seed_says():
    """LoRA's first weights and the next random numbers, of seeds 42, 42 and 43, in two processes."""
    command = [sys.executable, "-c", BEGIN, str(ROOT / "recipes" / "cpu" / "tiny_model")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=PATIENCE_SECONDS)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    begun, again = ([json.loads(line) for line in text.splitlines() if line.startswith("[")] for text in told)
    first, second, other = begun
    assert again == begun and first == second and first[0] > 0
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_free_memory_between_what_is_held_is_given_back():
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("the C library is not glibc")
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    size, memory = 64 * 1024, psutil.Process().memory_info
    blocks = [libc.malloc(size) for _ in range(2000)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks[:-1]:  # the last one keeps the end of the heap where it is
        libc.free(block)
    before = memory().rss
    return_free_memory()
    assert before - memory().rss > 1500 * size
    libc.free(blocks[-1])
