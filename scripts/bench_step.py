"""Where the time of a step goes: a real run on this machine, beside the limits of its parts measured alone.

    python -m scripts.bench_step --model FOLDER --data FOLDER [--steps 20] [--rounds 3] [--tree FOLDER ...]
        [--recipe recipes/cpu/grpo.sh] [OVERRIDE ...]

Runs the recipe, then its limits in this process: the bare engine on as many rollouts of the same questions by the
same model, a forward and a backward pass over these rollouts with an optimizer step, and an import of verl's workers.
With several `--tree` (checkouts of this project) they alternate, `--rounds` times, and the limits are measured anew in
each round. CPU seconds are by process.

    last lines, for each tree:
    generation: X of the bare engine    validation: X of the bare engine    update: X of bare
    step: X s    overhead a rollout: X ms    start: X s
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import mkdtemp

from rich.table import Table

from scripts.processes import Processes
from scripts.step_limits import Limits, limits
from verl_dots.terminal import errors, output

HERE = Path(__file__).parents[1]
FIRST = 3  # steps that are not counted: caches are filled, code is loaded
PARTS = ("gen", "old_log_prob", "adv", "update_actor", "update_weights")
TIMEOUT_SECONDS = 1800


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_step", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of a model that knows arithmetic")
    parser.add_argument("--data", required=True, help="folder of data_prep.arithmetic")
    parser.add_argument(
        "--steps", type=int, default=20, help="of a run; the first three are not counted (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tree (default: %(default)s)")
    parser.add_argument("--recipe", default="recipes/cpu/grpo.sh", help="that is run (default: %(default)s)")
    parser.add_argument("--tree", action="append", help="a checkout of this project; this one if none is given")
    parser.add_argument("overrides", nargs="*", help="of the recipe")
    args = parser.parse_args(argv)
    args.tree = args.tree or [str(HERE)]
    return args


@dataclass
class Run:
    """What one run showed. Seconds.

    Attributes:
        parts: of a step, medians; with `step` itself.
        start: from the command to the first validation, or to the first step where there is none before it.
        validation: of all questions, median.
        tokens: response tokens of a step, mean.
        rollouts: of a step.
        starting, stepping: CPU seconds of each kind of process until the first step, and of a step.
    """

    parts: dict[str, float]
    start: float
    validation: float
    tokens: float
    rollouts: float
    starting: Counter[str]
    stepping: Counter[str]


def run(tree: str, args: argparse.Namespace) -> Run:
    """Run the recipe of a checkout."""
    folder = Path(mkdtemp(prefix="bench_step_"))
    variables = dict(
        os.environ, PYTHONPATH=tree, MODEL=str(Path(args.model).resolve()), DATA=str(Path(args.data).resolve()),
        RUN=str(folder / "run"), STEPS=str(args.steps), CACHE=str(folder / "cache"),
    )  # fmt: skip
    command = ["bash", args.recipe, "trainer.test_freq=10", "trainer.save_freq=-1", *args.overrides]
    began = time.time()
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, cwd=tree, env=variables, stdout=log, stderr=subprocess.STDOUT)
        with Processes(process.pid) as processes:
            marks = _follow(process, folder / "run" / "metrics.jsonl", processes)
    if process.returncode:
        sys.exit(f"bench_step: the run in {tree} failed:\n{(folder / 'log').read_text()[-3000:]}")
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    shutil.rmtree(folder)
    steps = [row for row in rows if row["step"] > FIRST]
    between = marks[args.steps][1] - marks[FIRST][1]
    validations = [row["timing_s/testing"] for row in rows if "timing_s/testing" in row]
    return Run(
        parts={name: statistics.median(row.get(f"timing_s/{name}", 0.0) for row in steps) for name in ("step", *PARTS)},
        start=marks[rows[0]["step"]][0] - began - rows[0]["wall_seconds"],
        validation=statistics.median(validations),
        tokens=statistics.mean(row["training/generated_tokens"] for row in steps),
        rollouts=statistics.mean(row["training/generated_tokens"] / row["response_length/mean"] for row in steps),
        starting=marks[1][1],
        stepping=Counter({role: seconds / (args.steps - FIRST) for role, seconds in between.items()}),
    )


def _follow(process: subprocess.Popen, metrics: Path, processes: Processes) -> dict[int, tuple[float, Counter[str]]]:
    """Time and CPU seconds at the row of each step."""
    marks: dict[int, tuple[float, Counter[str]]] = {}
    ends = time.time() + TIMEOUT_SECONDS
    while process.poll() is None:
        if time.time() > ends:
            process.kill()
        rows = metrics.read_text().splitlines() if metrics.exists() else []
        for row in rows:
            if row.endswith("}"):
                marks.setdefault(json.loads(row)["step"], (time.time(), processes.seconds()))
        time.sleep(0.05)
    return marks


def tables(tree: str, runs: list[Run]) -> list[Table]:
    """Parts of a step, and CPU seconds by process."""
    parts = Table("part of a step", "s, median", "least", "most", title=f"{tree}: {len(runs)} runs")
    for name in ("step", *PARTS):
        each = [one.parts[name] for one in runs]
        parts.add_row(name, *(f"{value:.3f}" for value in (statistics.median(each), min(each), max(each))))
    processes = Table("process", "CPU s of a step", "CPU s of the start")
    for role in sorted({role for one in runs for role in one.starting}):
        stepping, starting = (statistics.median(kind[role] for kind in kinds) for kinds in (
            [one.stepping for one in runs], [one.starting for one in runs]
        ))  # fmt: skip
        processes.add_row(role, f"{stepping:.3f}", f"{starting:.1f}")
    return [parts, processes]


def last_lines(runs: list[Run], alone: Limits) -> str:
    """The figures by which trees are compared."""

    def median(figure) -> float:
        return statistics.median(figure(one) for one in runs)

    generation = median(lambda one: one.tokens / one.parts["gen"]) / alone.generation
    validation = alone.validation / median(lambda one: one.validation)
    update = median(lambda one: one.tokens / one.parts["update_actor"]) / alone.update
    step, start = median(lambda one: one.parts["step"]), median(lambda one: one.start)
    overhead = median(lambda one: 1e3 * (one.parts["gen"] - one.tokens / alone.generation) / one.rollouts)
    return (
        f"generation: {generation:.2f} of the bare engine    validation: {validation:.2f} of the bare engine    "
        f"update: {update:.2f} of bare\n"
        f"step: {step:.2f} s    overhead a rollout: {overhead:.2f} ms    start: {start:.1f} s"
    )


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    runs: dict[str, list[Run]] = {tree: [] for tree in args.tree}
    each: list[Limits] = []
    for number in range(args.rounds):
        for tree in args.tree:
            runs[tree].append(run(tree, args))
            errors().print(f"round {number + 1}, {tree}: step {runs[tree][-1].parts['step']:.2f} s")
        each.append(limits(args, round(runs[args.tree[0]][0].rollouts)))
    alone = Limits(*(statistics.median(figures) for figures in zip(*map(astuple, each), strict=True)))
    console = output()
    for tree, of_tree in runs.items():
        console.print(*tables(tree, of_tree))
    console.print(
        f"alone: engine {alone.generation:.0f} tokens/s, {alone.validation:.2f} s for a validation; "
        f"update {alone.update:.0f} tokens/s; one import {alone.importing:.1f} s"
    )
    for tree, of_tree in runs.items():
        console.print(f"{tree}\n{last_lines(of_tree, alone)}")


if __name__ == "__main__":
    main()
