"""Short training runs of the tiny model, by the recipes and the launch of every other run."""

import math
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from verl_dots.doctor.context import ROOT, CheckFailed, Context, environment
from verl_dots.doctor.engine import CLOSE, CLOSE_BF16
from verl_dots.doctor.hardware import memory_of_gpus
from verl_dots.doctor.rows import Row, judged
from verl_dots.launch.attention_checks import KEY, has_flash_attention
from verl_dots.launch.recipes import overrides_of
from verl_dots.reporting.rows import read_rows
from verl_dots.reporting.runs import METRICS_FILE
from verl_dots.sizes import GB

STEPS = 3
SAMPLE_SECONDS = 0.5
UPDATE_MEMORY = "actor/perf/max_memory_allocated_gb"
TEMPERATURE = "actor_rollout_ref.rollout.temperature"
LEARNING_RATE = 1e-3  # at which three updates change what the tiny model says
FIX = "see the log; with device=cpu the same preset tells whether the machine or the recipe is at fault"


@dataclass(frozen=True)
class Run:
    """What a run has left.

    Attributes:
        rows: metrics by step, from metrics.jsonl.
        ram, gpu: most bytes that it took of the node's RAM and of a GPU; of a GPU None where there is none.
    """

    folder: Path
    rows: Mapping[int, Mapping[str, float]]
    ram: int
    gpu: int | None


def tiny_run(context: Context, name: str, recipe: str, *overrides: str, steps: int = STEPS) -> Run:
    """A run of a recipe of the testbed with the tiny model.

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
    """Overrides of a recipe of the testbed, on GPUs where there are some."""
    if context.cpu:
        return overrides
    rollout = "actor_rollout_ref.rollout"
    return [
        *(each for each in overrides if each != "device=cpu"),
        f"{rollout}.name={context.engine}", f"{rollout}.tensor_model_parallel_size=1",
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
    done, most = threading.Event(), {"ram": 0, "gpu": memory_of_gpus()}
    watching = threading.Thread(target=_watch, args=(done, most, psutil.virtual_memory().available))
    watching.start()
    try:
        with log.open("w") as file:
            status = subprocess.run(
                command, cwd=ROOT, env=environment(), stdout=file, stderr=subprocess.STDOUT
            ).returncode
    finally:
        done.set()
        watching.join()
    if status:
        lines = [line.strip() for line in log.read_text().splitlines() if line.strip()]
        raise CheckFailed(f"status {status}: {lines[-1][:300] if lines else 'no output'}", f"see {log}; {FIX}")
    return Run(folder, read_rows(folder / METRICS_FILE).by_step, most["ram"], most["gpu"])


def _watch(done: threading.Event, most: dict[str, int | None], before: int) -> None:
    while not done.wait(SAMPLE_SECONDS):
        most["ram"] = max(most["ram"], before - psutil.virtual_memory().available)
        if most["gpu"] is not None:
            most["gpu"] = max(most["gpu"], memory_of_gpus())


def trained(check: str, run: Run, *keys: str, steps: int = STEPS) -> list[Row]:
    """Whether a run trained: as many steps, each with finite numbers under these keys; and its memory."""
    wanted = ("actor/pg_loss", "actor/grad_norm", *keys)
    found = {(step, key): run.rows.get(step, {}).get(key) for step in range(1, steps + 1) for key in wanted}
    bad = [f"{key} of step {step}" for (step, key), value in found.items() if value is None or not math.isfinite(value)]
    value = f"no finite {', '.join(bad[:3])}" if bad else f"{steps} steps"
    return [judged(check, not bad, value, f"{steps} steps, all finite", FIX), Row(f"{check}: peak memory", memory(run))]


def memory(run: Run) -> str:
    """The most that a run took: of the node's RAM, and of a GPU in the update and at any time."""
    update = max((row.get(UPDATE_MEMORY) or 0 for row in run.rows.values()), default=0)
    gpu = "" if run.gpu is None else f"; a GPU: {update:.1f} GB in the update, {run.gpu / GB:.1f} GB at most"
    return f"RAM: {run.ram / GB:.1f} GB{gpu}"


def preset(context: Context, name: str) -> list[Row]:
    """Three steps of a preset."""
    # What the rows of a testbed's run are computed by on a CPU has no forward pass, which would give the entropy.
    more = ["dots.temperature.entropy=engine"] if context.cpu and name == "all" else []
    return trained(f"preset {name}", tiny_run(context, f"preset_{name}", "grpo", f"dots.preset={name}", *more))


def critic(context: Context) -> list[Row]:
    """Three steps of PPO, at the papers' lowest temperature."""
    run = tiny_run(context, "critic", "ppo", f"{TEMPERATURE}=0.6")
    return [*trained("critic", run, "critic/vf_loss"), _agrees(context, run, 0.6)]


def penalty(context: Context) -> list[Row]:
    """Three steps with a reference policy, at a temperature above 1."""
    run = tiny_run(context, "kl", "dash_kl", f"{TEMPERATURE}=1.3")
    return [*trained("KL term", run, "actor/kl_loss"), _agrees(context, run, 1.3)]


def sync(context: Context) -> list[Row]:
    """Three updates that change the policy: the engine's log-probs are the trainer's only if it got the weights."""
    run = tiny_run(context, "sync", "grpo", f"actor_rollout_ref.actor.optim.lr={LEARNING_RATE}")
    return [_agrees(context, run, 1.0), *_reaches(context, run)]


def _agrees(context: Context, run: Run, temperature: float) -> Row:
    """The first step is of the model as it was read: nothing had to be sent twice."""
    return _difference(context, run, 1, f"engine against the trainer, temperature {temperature}")


def _reaches(context: Context, run: Run) -> list[Row]:
    return [_difference(context, run, step, f"weights reach the engine, step {step}") for step in range(2, STEPS + 1)]


def _difference(context: Context, run: Run, step: int, check: str) -> Row:
    found = run.rows[step].get("training/rollout_probs_diff_mean")
    close = CLOSE.get(context.engine, CLOSE_BF16)
    fix = "the engine computes with other weights, or another temperature, than the trainer: compare versions"
    value = "not measured" if found is None else f"{found:.2g} on average"
    return judged(check, found is not None and found <= close, value, f"probabilities within {close:g}", fix)
