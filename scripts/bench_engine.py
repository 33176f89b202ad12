"""Tokens per second of the rollout engine against transformers' `generate`, in one run.

    python -m scripts.bench_engine [--model FOLDER | --parameters 0.2M|100M] [--requests 512] [--dtype bfloat16]

Both sides get the same model, prompts and lengths; the weights of `generate` are float32. The lengths of `--requests`
responses are drawn from a geometric distribution (unequal, as in training; end-of-sequence is ignored so that every
response has just its length). `generate` runs them in batches of 128, left-padded, each batch until its longest
response is complete, as it must. Counted are the tokens asked for. Sides alternate, several rounds; the ratio is that
of the medians.

    last line:  ratio: X    (engine / generate)
"""

import argparse
import statistics
import time

import numpy as np
import torch
from rich.table import Table
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from verl_dots.rollout import attention
from verl_dots.rollout.engine import Engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig
from verl_dots.terminal import output

GENERATE_BATCH = 128
SIZES = {
    "0.2M": dict(hidden_size=96, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, vocab_size=264),
    "100M": dict(hidden_size=768, intermediate_size=2304, num_hidden_layers=12, num_attention_heads=12,
                 num_key_value_heads=4, vocab_size=8192),
}  # fmt: skip


def load(model: str | None, parameters: str, device: str, implementation: str, dtype: str) -> torch.nn.Module:
    """The model from a folder, or a random one of the wanted size; eval mode."""
    kind = getattr(torch, dtype)
    if model:
        made = AutoModelForCausalLM.from_pretrained(model, dtype=kind)
    else:
        torch.manual_seed(0)
        config = Qwen2Config(**SIZES[parameters], max_position_embeddings=2048, tie_word_embeddings=False)
        made = Qwen2ForCausalLM(config).to(kind)
    made.set_attn_implementation(implementation)
    return made.to(device).eval()


def workload(count: int, mean_length: float, most: int, vocabulary: int) -> list[tuple[list[int], int]]:
    """(prompt, response length) pairs; groups of 8 share a prompt, as rollouts of one question do."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.geometric(1 / mean_length, size=count), most)
    prompts = [rng.integers(5, vocabulary, size=rng.integers(16, 64)).tolist() for _ in range(-(-count // 8))]
    return [(prompts[i // 8], int(length)) for i, length in enumerate(lengths)]


@torch.inference_mode()
def run_generate(model: torch.nn.Module, work: list[tuple[list[int], int]], device: str) -> float:
    """Seconds that `generate` takes for all the work."""
    began = time.perf_counter()
    for start in range(0, len(work), GENERATE_BATCH):
        batch = work[start : start + GENERATE_BATCH]
        width = max(len(prompt) for prompt, _ in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.int64)
        mask = torch.zeros(len(batch), width, dtype=torch.int64)
        for row, (prompt, _) in enumerate(batch):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        longest = max(length for _, length in batch)
        model.generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), do_sample=True, temperature=1.0, top_k=0,
            min_new_tokens=longest, max_new_tokens=longest, pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
    return time.perf_counter() - began


def run_engine(model: torch.nn.Module, work: list[tuple[list[int], int]], slots: int) -> float:
    """Seconds that the engine takes for all the work, log-probabilities included."""
    longest = max(len(prompt) + length for prompt, length in work)
    engine = Engine(model, EngineConfig(max_model_len=longest, max_num_seqs=slots))
    began = time.perf_counter()
    for number, (prompt, length) in enumerate(work):
        params = SamplingParams(max_tokens=length, ignore_eos=True, rollout_index=number)
        engine.add(Request(str(number), tuple(prompt), params))
    done = engine.run()
    seconds = time.perf_counter() - began
    if sum(len(completion.token_ids) for completion in done) != sum(length for _, length in work):
        raise RuntimeError("the engine generated another number of tokens than was asked for")
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="model folder; without it a random model of --parameters")
    parser.add_argument(
        "--parameters", choices=list(SIZES), default="0.2M", help="of the random model (default: %(default)s)"
    )
    parser.add_argument("--requests", type=int, default=512, help="prompts (default: %(default)s)")
    parser.add_argument(
        "--mean-length", type=float, default=24.0, help="mean tokens of a response (default: %(default)s)"
    )
    parser.add_argument("--max-length", type=int, default=128, help="most tokens of a response (default: %(default)s)")
    parser.add_argument(
        "--slots", type=int, default=256, help="most sequences that the engine runs at once (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of both sides (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="of torch (default: all, here %(default)s)"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the engine's weights; those of generate are float32 (default: %(default)s)",
    )
    parser.add_argument("--device", default="cpu", help="where the model runs: cpu or cuda (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    asked = (options.model, options.parameters, options.device)
    theirs = load(*asked, "sdpa", "float32")
    ours = load(*asked, attention.NAME, options.dtype)
    work = workload(options.requests, options.mean_length, options.max_length, theirs.config.vocab_size)
    tokens = sum(length for _, length in work)
    sides = {
        "transformers.generate": lambda: run_generate(theirs, work, options.device),
        "engine": lambda: run_engine(ours, work, options.slots),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(options.rounds + 1):
        for name, run in sides.items():
            rate = tokens / run()
            if round_number:  # the first round warms both up
                rates[name].append(rate)
    table = Table("side", "tokens/s (median)", "min", "max")
    for name, values in rates.items():
        table.add_row(name, *(f"{value:,.0f}" for value in (statistics.median(values), min(values), max(values))))
    console = output()
    size = sum(parameter.numel() for parameter in ours.parameters())
    what = f"{size / 1e6:.2f}M parameters ({options.dtype})"
    console.print(f"{what}, {len(work)} requests, {tokens} tokens, {options.threads} threads")
    console.print(table)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    console.print(f"ratio: {medians['engine'] / medians['transformers.generate']:.2f}", highlight=False)


if __name__ == "__main__":
    main()
