"""The limits of a step's parts, each measured alone: the engine, a pass with an optimizer step, an import of verl."""

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from verl_dots.rollout.loading import load_engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig

MICRO_BATCH_TOKENS = 8192  # of conf/device/cpu.yaml
IMPORTS = "import verl.workers.engine_workers, verl.experimental.agent_loop"


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
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True, timeout=600)
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
