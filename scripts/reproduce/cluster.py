"""The papers' runs as array jobs of SLURM: what they may cost, and the commands that submit them.

One file holds all runs, one a line: `SEED RECIPE METHOD`. A task of an array is the line of its number. Each recipe is
an array of its own, because its runs need the same GPUs; what is finished is left out of it.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.table import Table

from scripts.reproduce import plan
from scripts.reproduce.matrix import MatrixError, require_different, require_known
from verl_dots.files import write_atomically
from verl_dots.terminal import output

FOLDER = Path("runs/reproduce-gpu")
# A job that reaches its limit saves and requeues itself, so the limit need not hold the run.
MOST_HOURS = 24
SUBMIT_SECONDS = 300
# GPUs; a job that has all of a node's takes all of its memory, too. --sbatch says what others get.
WHOLE_NODE = 8


@dataclass(frozen=True)
class Row:
    """A recipe and the hours of one run of each method, on `gpus` GPUs.

    Attributes:
        recipe: of recipes/, without .sh.
        hours: method -> hours of one run; estimated, see gpu.yaml.
        source: what the estimate is made of.
    """

    recipe: str
    gpus: int
    hours: Mapping[str, float]
    source: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of --scale gpu; --methods, --combinations (recipes) and --seeds narrow it down, too."""
    parser.add_argument(
        "--gpu", metavar="NAME", help="with --scale gpu: the GPU that you have, such as h100 (default: the papers')"
    )
    parser.add_argument("--submit", action="store_true", help="with --scale gpu: submit the jobs, in place of showing")
    parser.add_argument(
        "--sbatch",
        default="",
        metavar="OPTIONS",
        help="with --scale gpu: options of sbatch, as --sbatch='--partition=x' (default: none)",
    )


def read_rows(file: Path, gpu: str | None) -> tuple[list[Row], list[int]]:
    """The rows with their hours on a GPU, and the seeds; None stands for the papers' own GPUs.

    Raises:
        MatrixError: an unknown GPU, method or paper.
    """
    found = yaml.safe_load(file.read_text())
    require_known("--gpu", [gpu] if gpu else [], found["gpus"])
    factors = found["gpus"][gpu]["factors"] if gpu else {}
    rows = []
    for recipe, own in found["rows"].items():
        paper = recipe.split("/")[0]
        require_known(f"{file}: rows.{recipe}", [paper], found["papers"])
        entry = found["papers"][paper] | own
        factor = math.prod(entry.get("times", {}).values()) * (factors.get(entry["paper_gpu"], 1.0) if factors else 1.0)
        hours = entry.get("hours") or {
            method: seconds * entry["steps"] / 3600 for method, seconds in entry["seconds"].items()
        }
        require_known(f"{file}: rows.{recipe}", entry["methods"], hours)
        scaled = {method: hours[method] * factor for method in entry["methods"]}
        rows.append(Row(recipe, entry["gpus"], scaled, " ".join(entry["source"].split())))
    return rows, found["seeds"]


def tasks_of(rows: Sequence[Row], seeds: Sequence[int]) -> list[tuple[Row, str, int]]:
    """(row, method, seed) of each task; the first is task 1. Seed by seed within a row, its first method first."""
    return [(row, method, seed) for row in rows for seed in seeds for method in row.hours]


def task_line(row: Row, method: str, seed: int) -> str:
    """As recipes/slurm/run.sbatch reads it."""
    return f"{seed} recipes/{row.recipe}.sh {method}"


def tasks_file(text: str) -> Path:
    """Where such tasks are listed: named by what it holds, because jobs that wait read it when they start."""
    return FOLDER / f"tasks-{hashlib.sha256(text.encode()).hexdigest()[:8]}.txt"


def preparations(row: Row, root: Path) -> list[str]:
    """The commands by which a recipe says that its data is made; DOTS's predictor comes with them."""
    text = (root / "recipes" / f"{row.recipe}.sh").read_text()
    made = re.findall(r"^# Data: (python .*)$", text, re.MULTILINE)
    return made + (["bash recipes/dots/predictor.sh"] if row.recipe.startswith("dots/") else [])


def run_folder(row: Row, method: str, seed: int) -> Path:
    """Where the recipe trains."""
    return Path("runs") / row.recipe / f"{method}-seed{seed}"


def submissions(tasks: Sequence[tuple[Row, str, int]], file: Path, root: Path, more: Sequence[str]) -> list[list[str]]:
    """The sbatch command of each row, with the tasks that are not finished."""
    commands = []
    for row in dict.fromkeys(row.recipe for row, _, _ in tasks):
        left = [
            number for number, (of, *task) in enumerate(tasks, start=1)
            if of.recipe == row and not plan.finished(root / run_folder(of, *task))
        ]  # fmt: skip
        if not left:
            continue
        of = tasks[left[0] - 1][0]
        hours = min(MOST_HOURS, math.ceil(1.5 * max(of.hours.values())))
        commands.append([
            "sbatch", f"--job-name={row.replace('/', '-')}", f"--array={ranges(left)}", f"--gpus-per-node={of.gpus}",
            f"--cpus-per-task={8 * of.gpus}", *(["--mem=0"] if of.gpus == WHOLE_NODE else []),
            f"--time={hours}:00:00", f"--export=ALL,TASKS={file}", *more, "recipes/slurm/run.sbatch",
        ])  # fmt: skip
    return commands


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as sbatch --array takes them: 1-3,7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def main(options: argparse.Namespace, file: Path, root: Path) -> int:
    """Show the hours and the commands; with --submit run them. 1 when a submission fails.

    Raises:
        MatrixError: see `read_rows`; or a seed is there twice.
    """
    require_different("--seeds", options.seeds, least=0)
    rows, seeds = read_rows(file, options.gpu)
    rows = _narrowed(rows, options)
    seeds = options.seeds or seeds
    console = output()
    console.print(hours_table(rows, seeds))
    console.print("Estimates, not measured here: three steps of a recipe tell more (recipes/slurm/README.md).")
    for source in dict.fromkeys(f"{row.recipe.split('/')[0]}: {row.source}." for row in rows):
        console.print(source)
    console.print("\nMake before, beside the sets for evaluation (recipes/README.md):")
    console.print("\n".join(dict.fromkeys(line for row in rows for line in preparations(row, root))))
    tasks = tasks_of(rows, seeds)
    text = "".join(task_line(*task) + "\n" for task in tasks)
    listed = tasks_file(text)
    commands = submissions(tasks, listed, root, shlex.split(options.sbatch))
    write_atomically(root / listed, lambda partial: partial.write_text(text))
    if not options.submit:
        console.print(f"\n{len(tasks)} runs, a line each in {listed}; --submit submits this:\n")
        console.print("\n".join(map(shlex.join, commands)) or "nothing: all runs are finished")
        return 0
    return max(
        (subprocess.run(command, cwd=root, timeout=SUBMIT_SECONDS).returncode != 0 for command in commands), default=0
    )


def hours_table(rows: Sequence[Row], seeds: Sequence[int]) -> Table:
    """GPU hours of each recipe, by method, for all seeds, and of all."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("recipe", "GPUs", "GPU hours of a run", "seeds", "GPU hours"):
        left = heading in ("recipe", "GPU hours of a run")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading == "recipe")
    total = 0.0
    for row in rows:
        of_runs = {method: hours * row.gpus for method, hours in row.hours.items()}
        total += (of_row := sum(of_runs.values()) * len(seeds))
        shown = ", ".join(f"{method} {hours:.0f}" for method, hours in of_runs.items())
        table.add_row(row.recipe, str(row.gpus), shown, str(len(seeds)), f"{of_row:,.0f}")
    table.add_row("all", "", "", "", f"{total:,.0f}", style="bold")
    return table


def _narrowed(rows: Sequence[Row], options: Any) -> list[Row]:
    known = {method for row in rows for method in row.hours}
    require_known("--methods", options.methods, known)
    require_known("--combinations", options.combinations, [row.recipe for row in rows])
    chosen = [row for row in rows if row.recipe in options.combinations or not options.combinations]
    if not options.methods:
        return chosen
    few = [{method: of for method, of in row.hours.items() if method in options.methods} for row in chosen]
    kept = [Row(row.recipe, row.gpus, hours, row.source) for row, hours in zip(chosen, few, strict=True) if hours]
    if not kept:
        raise MatrixError(f"none of {options.combinations} has {options.methods}", key="--methods", reason="excluded")
    return kept
