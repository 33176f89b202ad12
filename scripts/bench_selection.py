"""Speed of predicting and selecting, against the published way of serving the same predictor.

    python -m scripts.bench_selection [--questions 10240] [--references 256] [--width 1536] [--million 1000000]

Part 1: the paper's predictor (adapters of 3 x 896), one call with new references. Baseline: for every mini-batch of 32
questions, project the questions and all references, attend, calibrate. Ours: projections of the questions kept from
the checkpoint's loading, references projected once a call. Both give the same predictions, which is checked. The last
line is the ratio of the medians.
Part 2: many questions with this project's default predictor, prediction and selection of 1,024 of them, once
projected; and the memory that the process grows by.
Part 3: as many questions with the online predictor: its fit, the references held out in folds, and all predictions.
"""

import argparse
import resource
import statistics
import time

import numpy as np
import torch
from rich.console import Console
from tqdm import tqdm

from verl_dots.difficulty.components import WIDTH
from verl_dots.difficulty.model import PRIORS, AttentionPredictor, PredictorConfig
from verl_dots.difficulty.online import OnlinePredictor
from verl_dots.methods.selection.rule import select
from verl_dots.terminal import output

MINI_BATCH = 32


@torch.inference_mode()
def published(model: AttentionPredictor, embedding_P: torch.Tensor, known: torch.Tensor, difficulty_K: torch.Tensor):
    """Predictions [P] as served by a loop over mini-batches that projects the references each time."""
    parts = [
        model(model.project_queries(batch), model.project_references(embedding_P[known]), difficulty_K)
        for batch in tqdm(embedding_P.split(MINI_BATCH), desc="published loop", leave=False)
    ]
    return torch.cat(parts)


@torch.inference_mode()
def ours(model, query_P: torch.Tensor, embedding_P: torch.Tensor, known: torch.Tensor, difficulty_K: torch.Tensor):
    """Predictions [P] from kept projections."""
    return model.predict(query_P, model.project_references(embedding_P[known]), difficulty_K)


def seconds(function, *arguments) -> tuple[float, torch.Tensor]:
    began = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - began, result


def compare(options: argparse.Namespace, console: Console) -> float:
    """Part 1; the ratio."""
    torch.manual_seed(options.seed)
    model = AttentionPredictor(PredictorConfig.paper(options.width)).eval()
    embedding_P = torch.randn(options.questions, options.width)
    known = torch.randperm(options.questions)[: options.references]
    difficulty_K = torch.rand(options.references)
    with torch.inference_mode():
        took, parts = seconds(lambda: [model.project_queries(part) for part in embedding_P.split(2048)])
        query_P = torch.cat(parts)
    console.print(f"projecting {options.questions} questions, once per checkpoint: {took:.2f} s")
    ours(model, query_P, embedding_P, known, difficulty_K)
    baseline_s, our_s = [], []
    for _ in range(options.rounds):
        took, expected = seconds(published, model, embedding_P, known, difficulty_K)
        baseline_s.append(took)
        runs = [seconds(ours, model, query_P, embedding_P, known, difficulty_K) for _ in range(5)]
        our_s += [took for took, _ in runs]
        torch.testing.assert_close(runs[-1][1], expected, rtol=1e-4, atol=1e-5)
    console.print(f"published loop: {statistics.median(baseline_s):.3f} s   ours: {statistics.median(our_s):.4f} s")
    return statistics.median(baseline_s) / statistics.median(our_s)


def many(options: argparse.Namespace, console: Console) -> None:
    """Part 2."""
    model = AttentionPredictor(PredictorConfig(options.width, memory_size=1)).eval()
    width = model.projected_width
    query_P = torch.randn(options.million, width)
    reference_K, difficulty_K = torch.randn(options.references, width), torch.rand(options.references)
    rng = np.random.default_rng(options.seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    predict_s, expect_s, select_s = [], [], []
    for _ in range(5):
        took, predicted_P = seconds(model.predict, query_P, reference_K, difficulty_K)
        predict_s.append(took)
        expect_s.append(seconds(model.expected_effectiveness, query_P, predicted_P, 8)[0])
        select_s.append(seconds(select, predicted_P.numpy(), 1024, 0.5, 1e-3, rng)[0])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    console.print(
        f"{options.million} questions x {options.references} references, width {width - PRIORS}: predicted in "
        f"{statistics.median(predict_s):.3f} s, their effectiveness in {statistics.median(expect_s):.3f} s, 1024 "
        f"selected in {statistics.median(select_s):.3f} s (medians of 5); "
        f"projections {query_P.nbytes / 2**20:.0f} MiB, the calls grew the process by {grown:.0f} MiB"
    )


def _observe(predictor: OnlinePredictor, step: int, questions: np.ndarray, rng: np.random.Generator) -> None:
    """Groups of 8 rollouts of these questions, of any difficulty."""
    right_N = rng.integers(0, 9, len(questions))
    effective_N = (right_N > 0) & (right_N < 8)
    predictor.observe(step, questions, 1 - right_N / 8, np.full(len(questions), 8), effective_N)


def many_online(options: argparse.Namespace, console: Console) -> None:
    """Part 3."""
    rng = np.random.default_rng(options.seed)
    predictor = OnlinePredictor(rng.standard_normal((options.million, WIDTH), dtype=np.float32), half_life=8.0)
    for step in range(4):
        chosen = rng.choice(options.million, 512, replace=False)
        _observe(predictor, step, chosen, rng)
    references = rng.choice(options.million, options.references, replace=False)
    _observe(predictor, 4, references, rng)
    known = 4, references, np.zeros(options.references)
    took = [seconds(predictor.predict, *known)[0] for _ in range(3)]
    expect_s = [seconds(predictor.effectiveness, *known, 8)[0] for _ in range(3)]
    console.print(
        f"online predictor, {options.million} questions, {WIDTH} components, {4 * 512 + options.references} groups "
        f"observed: fitted, held out and predicted in {statistics.median(took):.3f} s, their effectiveness in "
        f"{statistics.median(expect_s):.3f} s (medians of 3)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_selection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--questions", type=int, default=10240, help="of part 1 (default: %(default)s)")
    parser.add_argument(
        "--references", type=int, default=256, help="questions of known difficulty (default: %(default)s)"
    )
    parser.add_argument("--width", type=int, default=1536, help="of the embeddings (default: %(default)s)")
    parser.add_argument(
        "--million", type=int, default=1_000_000, help="questions of parts 2 and 3 (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of both sides (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=0, help="of torch; 0 leaves its own choice (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the random embeddings (default: %(default)s)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console = output()
    many(options, console)
    many_online(options, console)
    ratio = compare(options, console)
    console.print(f"ratio: {ratio:.1f}")


if __name__ == "__main__":
    main()
