"""Seeds of verl's workers: weights that begin at random are those of the seed, in every process."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.launches import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
BEGIN = """
import json, os, sys
from verl_dots.engines.environment import prepare_environment
prepare_environment(cpu=True)
import torch
from omegaconf import OmegaConf
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.engine_workers import TrainingWorkerConfig
from verl_dots.bridge.workers import SeededTrainingWorker
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
    print(json.dumps([sum(weight.full_tensor().double().abs().sum().item() for weight in drawn), torch.rand(1).item()]))
"""


def test_a_worker_begins_as_its_seed_says():
    """LoRA's first weights and the next random number, of seeds 42, 42 and 43."""
    command = [sys.executable, "-c", BEGIN, str(ROOT / "recipes" / "cpu" / "tiny_model")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second, other = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert first == second and first[0] > 0
    assert first[0] != other[0] and first[1] != other[1]
