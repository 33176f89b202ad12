"""How often a model answers each question right: the situation that data selection starts from.

    python -m scripts.success_histogram --model models/tiny --data data/arithmetic/train.parquet [--questions 1024]

Rolls out every question `--rollouts` times at `--temperature` with the rollout engine, scores by exact match, and
prints the share of questions with 0, 1, ... successes, in all and for each family.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from rich.table import Table
from tqdm import tqdm
from transformers import AutoTokenizer

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import read_rows, require_columns
from verl_dots.rewards.compute import compute_score
from verl_dots.rollout.loading import load_engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig
from verl_dots.terminal import output


def success_rates(options: argparse.Namespace, frame: pd.DataFrame) -> np.ndarray:
    """[questions] share of right answers."""
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    limits = EngineConfig(max_model_len=options.max_prompt + options.max_response, seed=options.seed)
    engine = load_engine(options.model, limits)
    for row, prompt in enumerate(frame["prompt"]):
        text = tokenizer.apply_chat_template(list(prompt), add_generation_prompt=True, tokenize=False)
        ids = tuple(tokenizer.encode(text, add_special_tokens=False))
        for index in range(options.rollouts):
            params = SamplingParams(
                max_tokens=options.max_response, temperature=options.temperature, rollout_index=index
            )
            engine.add(Request(f"{row}.{index}", ids, params))
    right = np.zeros(len(frame))
    with tqdm(total=len(frame) * options.rollouts, desc="rollouts") as bar:
        while engine.running or engine.waiting:
            for done in engine.step():
                row = int(done.request_id.split(".")[0])
                answer = tokenizer.decode(done.token_ids, skip_special_tokens=True)
                truth = frame["reward_model"].iloc[row]["ground_truth"]
                right[row] += compute_score(frame["data_source"].iloc[row], answer, truth)["acc"]
                bar.update()
    return right / options.rollouts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.success_histogram",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, help="model folder")
    parser.add_argument("--data", required=True, help="parquet of data_prep.arithmetic")
    parser.add_argument(
        "--questions", type=int, default=1024, help="drawn at random; 0 takes all (default: %(default)s)"
    )
    parser.add_argument("--rollouts", type=int, default=8, help="responses to a question (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the responses (default: %(default)s)")
    parser.add_argument("--max-prompt", type=int, default=96, help="most tokens of a prompt (default: %(default)s)")
    parser.add_argument("--max-response", type=int, default=48, help="most tokens of a response (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw and the responses (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        require_columns(options.data, ["prompt", "reward_model", "data_source", "extra_info"])
        frame = pd.DataFrame(list(read_rows(options.data)))
    except QuestionError as error:
        parser.error(str(error))
    if options.questions and options.questions < len(frame):
        frame = frame.sample(options.questions, random_state=options.seed).reset_index(drop=True)
    rates = success_rates(options, frame)
    table = Table("questions", "count", *(f"{k}/{options.rollouts}" for k in range(options.rollouts + 1)), "mean")
    families = frame["extra_info"].map(lambda info: info["family"])
    for name, chosen in [
        ("all", slice(None)),
        *((name, (families == name).to_numpy()) for name in sorted(set(families))),
    ]:
        part = rates[chosen]
        counts = np.bincount(np.rint(part * options.rollouts).astype(int), minlength=options.rollouts + 1)
        shares = (f"{100 * share:.1f} %" for share in counts / len(part))
        table.add_row(name, str(len(part)), *shares, f"{100 * part.mean():.1f} %")
    console = output()
    console.print(table)
    console.print(f"all wrong: {100 * (rates == 0).mean():.1f} %   all right: {100 * (rates == 1).mean():.1f} %")


if __name__ == "__main__":
    main()
