"""Training runs of the doctor, by the recipes and the launch of every other run."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verl_dots.doctor.context import ROOT, STEPS, CheckFailed, Context, environment
from verl_dots.doctor.stage_memory import Watched, memory_text, watching
from verl_dots.launch.attention_checks import KEY, has_flash_attention
from verl_dots.launch.recipes import overrides_of
from verl_dots.reporting.rows import read_rows
from verl_dots.reporting.runs import METRICS_FILE

FIX = "see the log; with device=cpu the same preset tells whether the machine or the recipe is at fault"


@dataclass(frozen=True)
class Run:
    """What a run has left.

    Attributes:
        rows: metrics by step, from metrics.jsonl.
        seen: its memory.
    """

    folder: Path
    rows: Mapping[int, Mapping[str, float]]
    seen: Watched

    @property
    def memory(self) -> str:
        """The most that it took, in words."""
        return memory_text(self.rows, self.seen)


def tiny_run(context: Context, name: str, recipe: str, *overrides: str, steps: int = STEPS) -> Run:
    """A run of a recipe of recipes/cpu with the tiny model.

    Raises:
        CheckFailed: it does not end well.
    """
    questions, folder = context.questions(), Path(context.work) / "runs" / name
    variables = {
        "DATA": questions, "MODEL": context.tiny_model(), "CACHE": Path(context.work) / "embeddings", "RUN": folder,
        "STEPS": steps,
    }  # fmt: skip
    given = overrides_of(
        ROOT / "recipes" / "cpu" / f"{recipe}.sh", "trainer.val_before_train=False", "trainer.test_freq=-1", *overrides,
        **{key: str(value) for key, value in variables.items()},
    )  # fmt: skip
    return train(on_device(given, context), folder, Path(context.work) / f"{name}.train.log")


def on_device(overrides: list[str], context: Context) -> list[str]:
    """Overrides of a recipe of recipes/cpu, on GPUs where there are some."""
    if context.cpu:
        return overrides
    rollout = "actor_rollout_ref.rollout"
    return [
        *(each for each in overrides if each != "device=cpu"),
        f"{rollout}.name={context.engine}", f"{rollout}.tensor_model_parallel_size={context.parallel}",
        f"{rollout}.gpu_memory_utilization=0.4", f"trainer.n_gpus_per_node={context.gpus}",
        "actor_rollout_ref.actor.use_dynamic_bsz=True",
        *([] if has_flash_attention() else [f"+{KEY}=sdpa"]),
    ]  # fmt: skip


def train(overrides: list[str], folder: Path, log: Path) -> Run:
    """Start `verl_dots.main` and watch the memory.

    Raises:
        CheckFailed: it does not end well; the message is the last line that it wrote.
    """
    command = [sys.executable, "-m", "verl_dots.main", *overrides]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=file, stderr=subprocess.STDOUT)
        try:
            with watching(process.pid, folder / METRICS_FILE) as seen:
                status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
    if status:
        lines = [line.strip() for line in log.read_text().splitlines() if line.strip()]
        raise CheckFailed(f"status {status}: {lines[-1][:300] if lines else 'no output'}", f"see {log}; {FIX}")
    return Run(folder, read_rows(folder / METRICS_FILE).by_step, seen)
