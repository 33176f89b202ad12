"""Where the time of a step goes: a real run on this machine, beside the limits of its parts measured alone.

    python -m scripts.bench_step --model FOLDER --data FOLDER [--steps 20] [--rounds 3] [--tree FOLDER ...]
        [--recipe recipes/cpu/grpo.sh] [OVERRIDE ...]

Runs the recipe, then its limits in this process: the bare engine on as many rollouts of the same questions by the
same model, a forward and a backward pass over these rollouts with an optimizer step, and an import of verl's workers.
With several `--tree` (checkouts of this project) they alternate, `--rounds` times. CPU seconds are by process.

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
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pyarrow.parquet as pq
import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, AutoTokenizer

from scripts.processes import Processes
from verl_dots.rollout.loading import load_engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig

HERE = Path(__file__).parents[1]
FIRST = 3  # steps that are not counted: caches are filled, code is loaded
PARTS = ("gen", "old_log_prob", "adv", "update_actor", "update_weights")
MICRO_BATCH_TOKENS = 8192  # of conf/device/cpu.yaml
IMPORTS = "import verl.workers.engine_workers, verl.experimental.agent_loop"
TIMEOUT_SECONDS = 1800


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a model that knows the testbed")
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


@dataclass
class Limits:
    """Of the parts alone.

    Attributes:
        generation: response tokens a second of the engine alone, on the rollouts of a step.
        validation: seconds of the engine alone for all questions of a validation.
        update: response tokens a second of a forward and a backward pass with an optimizer step.
        importing: seconds of one process that imports verl's workers.
    """

    generation: float
    validation: float
    update: float
    importing: float


def limits(args: argparse.Namespace, rollouts: int) -> Limits:
    """Measure the parts alone, on all cores."""
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    prompts = {name: _prompts(tokenizer, Path(args.data, f"{name}.parquet")) for name in ("train", "val")}
    group = 8
    questions = [prompt for prompt in prompts["train"][: rollouts // group] for _ in range(group)]
    train, rows = _generate(args.model, questions, temperature=1.0, top_p=1.0)
    rate, answers = _generate(args.model, prompts["val"], temperature=0.6, top_p=0.95)
    validation = sum(len(response) for _, response in answers) / rate
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True)
    return Limits(train, validation, _update(args.model, rows), time.perf_counter() - began)


def _prompts(tokenizer, file: Path) -> list[list[int]]:
    messages = pq.read_table(file, columns=["prompt"]).column(0).to_pylist()
    return [tokenizer.apply_chat_template(m, add_generation_prompt=True, return_dict=False) for m in messages]


def _generate(model: str, prompts: list, temperature: float, top_p: float) -> tuple[float, list]:
    """Response tokens a second, and (prompt, response) of each rollout; the second of two times."""
    for _ in range(2):
        engine = load_engine(model, EngineConfig(max_model_len=144, max_num_seqs=256), torch.float32, "cpu")
        began, done = time.perf_counter(), []
        for number, prompt in enumerate(prompts):
            params = SamplingParams(max_tokens=48, temperature=temperature, top_p=top_p, rollout_index=number)
            engine.add(Request(str(number), tuple(prompt), params))
        while engine.running or engine.waiting:
            done += engine.step()
        seconds = time.perf_counter() - began
    rows = [(prompts[int(one.request_id)], one.token_ids) for one in done]
    return sum(len(response) for _, response in rows) / seconds, rows


def _update(model: str, rows: list) -> float:
    """Response tokens a second of passes over rows in padded micro-batches, as many as the device's config allows."""
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, attn_implementation="sdpa").train()
    optimizer = torch.optim.AdamW(loaded.parameters(), lr=1e-6)
    rows = sorted(rows, key=lambda row: len(row[0]) + len(row[1]))
    longest = max(len(prompt) + len(response) for prompt, response in rows)
    size = max(1, MICRO_BATCH_TOKENS // longest)
    times = []
    for _ in range(6):
        began = time.perf_counter()
        for start in range(0, len(rows), size):
            whole = [torch.tensor([*prompt, *response]) for prompt, response in rows[start : start + size]]
            ids = torch.nn.utils.rnn.pad_sequence(whole, batch_first=True)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in whole], batch_first=True)
            logits = loaded(input_ids=ids, attention_mask=mask).logits[:, :-1]
            chosen = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:, None])[..., 0]
            (-(chosen * mask[:, 1:]).sum() / len(rows)).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - began)
    return sum(len(response) for _, response in rows) / statistics.median(times[1:])


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
    for number in range(args.rounds):
        for tree in args.tree:
            runs[tree].append(run(tree, args))
            print(f"round {number + 1}, {tree}: step {runs[tree][-1].parts['step']:.2f} s", file=sys.stderr)
    alone = limits(args, round(runs[args.tree[0]][0].rollouts))
    for tree, of_tree in runs.items():
        Console().print(*tables(tree, of_tree))
    print(
        f"alone: engine {alone.generation:.0f} tokens/s, {alone.validation:.2f} s for a validation; "
        f"update {alone.update:.0f} tokens/s; one import {alone.importing:.1f} s"
    )
    for tree, of_tree in runs.items():
        print(f"{tree}\n{last_lines(of_tree, alone)}")


if __name__ == "__main__":
    main()
