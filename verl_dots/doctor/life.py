"""A run from its checkpoint to its evaluation, and how its seconds are spent."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from verl_dots.data.file_lists import file_list
from verl_dots.doctor.context import ROOT, STEPS, CheckFailed, Context, environment
from verl_dots.doctor.engine import engine_overrides
from verl_dots.doctor.footprint import footprint_of
from verl_dots.doctor.launching import FIX, tiny_run, train
from verl_dots.doctor.rows import Row, judged, skipped
from verl_dots.doctor.stage_memory import STAGES
from verl_dots.files import read_json
from verl_dots.processes.environment import joins_cluster
from verl_dots.sizes import size_text
from verl_dots.training.disk_space import free_bytes
from verl_dots.training.shapes import shape_of

MEASURED = ("gen", "old_log_prob", "ref", "values", "update_actor", "update_critic", "update_weights")
KILL_SECONDS = 60  # recipes/slurm/run.sbatch ends a run so long before the job's limit
MARGIN = 1.5  # a step may be longer than those that were seen


def life(context: Context) -> list[Row]:
    """Two steps, saved; a third after a resume; the shards merged and evaluated."""
    saved = tiny_run(context, "life", "grpo", steps=2)
    complete = saved.folder / "global_step_2" / "complete.json"
    rows = [judged("save", complete.is_file(), "a whole checkpoint" if complete.is_file() else "none", "whole", FIX)]
    resumed = tiny_run(context, "life", "grpo", steps=3)
    from_step = read_json(resumed.folder / "run.json")["resumed_step"]
    good = from_step == 2 and sorted(resumed.rows) == [1, 2, 3]
    rows.append(judged("resume", good, f"from step {from_step}, rows {sorted(resumed.rows)}", "from step 2", FIX))
    return rows + _evaluated(context, resumed.folder)


def _evaluated(context: Context, run: Path) -> list[Row]:
    out = Path(context.work) / "evaluation"
    shutil.rmtree(out, ignore_errors=True)
    command = [
        sys.executable, "-m", "verl_dots.evaluate", str(run), "--data", str(context.questions() / "val.parquet"),
        "--out", str(out), "--limit", "16",
        *(each for each in engine_overrides(context) if not each.startswith("actor_rollout_ref.model.path")),
    ]  # fmt: skip
    log = Path(context.work) / "evaluate.log"
    with log.open("w") as file:
        status = subprocess.run(command, cwd=ROOT, env=environment(), stdout=file, stderr=subprocess.STDOUT).returncode
    merged = sorted(run.glob("global_step_3/actor/merged-*/*.safetensors"))
    results = read_json(out / "evaluation.json")["results"] if status == 0 else []
    return [
        judged("merge of shards", bool(merged), f"{len(merged)} files of weights", "1 or more", f"see {log}"),
        judged("evaluate", bool(results), f"{len(results)} results" if results else f"status {status}", "results",
               f"see {log}"),
    ]  # fmt: skip


def stages(context: Context) -> list[Row]:
    """Three steps of the recipe itself: shares of the time, hours, and how long before its limit a job must stop."""
    check = f"three steps of {context.recipe}"
    config = context.config
    nodes = config.trainer.nnodes
    if nodes > 1 and not joins_cluster(config.ray_kwargs.ray_init.get("address"), os.environ):
        why = f"several nodes: start Ray on all {nodes} and set RAY_ADDRESS, or give NNODES=1 for a run on this one"
        return [skipped(check, why)]
    missing = [file for file in file_list(config.data.train_files) if not Path(file).is_file()]
    if missing:
        return [skipped(check, f"{', '.join(missing)} is not there: the recipe names the command that makes it")]
    folder = beside(ROOT / str(config.trainer.default_local_dir))
    shutil.rmtree(folder, ignore_errors=True)  # of a doctor that was ended
    needed, free = footprint_of(config, shape_of(context.model), 0).checkpoint, free_bytes(folder)
    saves = free > needed
    try:
        run = train(recipe_overrides(context, folder, saves), folder, Path(context.work) / "recipe.train.log")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if STEPS not in run.rows:
        raise CheckFailed(f"{check}: rows {sorted(run.rows)}", FIX)
    rows = [Row(f"{check}: peak memory", run.memory), *time_rows(check, run.rows, config.trainer)]
    if not saves:
        why = f"a checkpoint takes {size_text(needed)}, {size_text(free)} are free at {folder.parent}"
        rows.append(skipped(f"{check}: time of a save", f"{why}: neither hours nor --signal count it"))
    return rows


def beside(run: Path) -> Path:
    """A folder on the disk of a recipe's run folder, for a run that must not touch it."""
    return run.with_name(f"{run.name}.doctor")


def recipe_overrides(context: Context, folder: Path, saves: bool) -> list[str]:
    """Of three steps of the recipe in a folder of their own; the last is validated, and saved where there is room."""
    return [
        *context.overrides, f"trainer.default_local_dir={folder}", f"trainer.total_training_steps={STEPS}",
        "trainer.val_before_train=False", f"trainer.test_freq={STEPS}", f"trainer.save_freq={STEPS if saves else -1}",
    ]  # fmt: skip


def time_rows(check: str, rows: Mapping[int, Mapping[str, float]], trainer) -> list[Row]:
    """What the seconds of steps 2 and 3 say; the first warms up.

    Args:
        rows: metrics by step; the last step is validated, and saved where its disk had room for it.
        trainer: `trainer` of the recipe's config.
    """
    late = [rows[step] for step in sorted(rows) if step >= 2]
    save = max(row.get("timing_s/save_checkpoint") or 0.0 for row in late)
    test = max(row.get("timing_s/testing") or 0.0 for row in late)
    steps = [row["timing_s/step"] - (row.get("timing_s/save_checkpoint") or 0.0) for row in late]
    step = sum(steps) / len(steps)
    shares = {STAGES[key]: sum(row.get(f"timing_s/{key}") or 0.0 for row in late) / sum(steps) for key in MEASURED}
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.01)
    total = int(trainer.total_training_steps or 0)
    hours = (total * step + _times(total, trainer.save_freq) * save + _times(total, trainer.test_freq) * test) / 3600
    return [
        Row(f"{check}: time of a step", f"{step:.1f} s: {told}"),
        Row(f"{check}: saving, validation", f"{save:.2f} s, {test:.2f} s"),
        Row(f"{check}: {total} steps take", f"{hours:.2f} h"),
        Row("suggested option of sbatch", f"--signal=B:USR1@{signal_seconds(max(steps), save, test)}"),
    ]


def signal_seconds(step: float, save: float, test: float) -> int:
    """How long before a job's limit to ask a run to save: it ends its step, validates where one is due, and saves."""
    return max(120, math.ceil((MARGIN * (step + save + test) + KILL_SECONDS) / 60) * 60)


def _times(steps: int, often: int) -> int:
    return steps // often if often and often > 0 else 0
