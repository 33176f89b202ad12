"""Quality of the online predictor on real questions, round by round, and what selection gains by it.

    python -m scripts.bench_predictor_online LABELS... [--backbone FOLDER --layers last] [--questions 4000] [--rounds 4]

The labels' success rates are taken for true, and stay: nothing is trained. Each round draws references uniformly, tries
each 8 times, predicts, and draws questions as a run does: by |difficulty - 0.5|, or by the expected share of effective
groups. What is drawn is tried 8 times as well, and learnt from. rho, bias and calibration error are of questions that
were never tried. "effective" is the expected share of effective groups among the drawn, "promised" what was predicted
for them. Means and deviations over the seeds.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.table import Table

from verl_dots.difficulty import surface
from verl_dots.difficulty.agreement import calibration_error, pearson
from verl_dots.difficulty.effectiveness import TRIES
from verl_dots.difficulty.embeddings import READS, Backbone, cached_embeddings
from verl_dots.difficulty.inputs import online_inputs
from verl_dots.difficulty.labels import Labels, read_labels
from verl_dots.difficulty.online import OnlinePredictor
from verl_dots.difficulty.options import add
from verl_dots.difficulty.settings import DifficultyConfig
from verl_dots.methods.selection.rule import drawn_by, select
from verl_dots.methods.selection.settings import SCORES
from verl_dots.step import effective_share
from verl_dots.terminal import output

ALPHA = 0.5
FIGURES = ("rho", "bias", "calibration_error", "effective", "promised")


@dataclass(frozen=True)
class Draw:
    """How a round draws.

    Attributes:
        score: "difficulty" or "effectiveness".
        tau: temperature of the draw.
        references, chosen: questions that are drawn uniformly, and by predictions.
    """

    score: str
    tau: float
    references: int
    chosen: int


def simulated(
    input_P: np.ndarray, behind: Sequence[int], rate_P: np.ndarray, draw: Draw, rounds: int, seed: int
) -> list[dict[str, float]]:
    """`FIGURES` of each round, for questions of known success rates [P]; see the module."""
    rng, share_P = np.random.default_rng(seed), effective_share(rate_P, TRIES)
    predictor = OnlinePredictor(input_P, DifficultyConfig().half_life, behind)
    never_P, found = np.ones(len(rate_P), dtype=bool), []

    def tried(step: int, question_N: np.ndarray) -> np.ndarray:
        right_N = rng.binomial(TRIES, rate_P[question_N])
        tries_N = np.full(len(question_N), TRIES)
        difficulty_N = 1 - right_N / TRIES
        predictor.observe(step, question_N, difficulty_N, tries_N, (right_N > 0) & (right_N < TRIES))
        never_P[question_N] = False
        return difficulty_N

    for step in range(rounds):
        references_K = rng.choice(len(rate_P), draw.references, replace=False)
        measured_K = tried(step, references_K)
        predicted_P, _ = predictor.predict(step, references_K, measured_K)
        expected_P = predictor.effectiveness(step, references_K, measured_K, TRIES)
        by_P, target = drawn_by(predicted_P, expected_P if draw.score == "effectiveness" else None, ALPHA)
        others = np.setdiff1d(np.arange(len(rate_P)), references_K)
        chosen_N = others[select(by_P[others], draw.chosen, target, draw.tau, rng)]
        predicted_Q, true_Q = predicted_P[never_P], 1 - rate_P[never_P]
        figures = (
            pearson(predicted_Q, true_Q), predicted_Q.mean() - true_Q.mean(), calibration_error(predicted_Q, true_Q),
            share_P[chosen_N].mean(), expected_P[chosen_N].mean(),
        )  # fmt: skip
        found.append(dict(zip(FIGURES, map(float, figures), strict=True)))
        tried(step, chosen_N)
    return found


def seen(labels: Labels, options: argparse.Namespace) -> tuple[np.ndarray, list[int]]:
    """What the predictor sees of the questions, and the widths of the parts behind the embedding."""
    if options.backbone is None:
        return surface.surface_columns(labels.texts, labels.answers), []
    backbone = Backbone(options.backbone, options.layers, reads=options.reads)
    embedding_P = cached_embeddings(backbone.inputs(labels.texts, labels.answers), backbone, options.cache)
    return online_inputs(embedding_P, labels.texts, labels.answers), [len(surface.COLUMNS)]


def ends(rate_P: np.ndarray, chosen: int) -> tuple[float, float]:
    """Shares of effective groups of a uniform draw and of a perfect predictor."""
    share_P = effective_share(rate_P, TRIES)
    return float(share_P.mean()), float(np.sort(share_P)[-chosen:].mean())


def table(found: dict[tuple[str, int], list[dict[str, float]]], caption: str) -> Table:
    """A row for each score and round, over the seeds."""
    view = Table(caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("drawn by", "round", *FIGURES):
        view.add_column(column.replace("_", " "), justify="left" if column == "drawn by" else "right")
    for (score, number), seeds in found.items():
        values = [[one[name] for one in seeds] for name in FIGURES]
        view.add_row(score, str(number), *(f"{np.mean(each):.3f} ± {np.std(each):.3f}" for each in values))
    return view


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_predictor_online",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add(parser, "labels")
    parser.add_argument("--backbone", help="folder of the frozen embedding model (default: none, the surface alone)")
    add(parser, "--layers", "--cache", "--references", "--labeller")
    parser.add_argument("--reads", choices=READS, default=READS[0], help="what is embedded (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=4000, help="drawn from the labels (default: %(default)s)")
    parser.add_argument("--chosen", type=int, default=256, help="drawn by predictions a round (default: %(default)s)")
    parser.add_argument("--tau", type=float, default=1e-3, help="temperature of that draw (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="of references and chosen (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = parse()
    labels = read_labels(options.labels, labellers=options.labeller).one_per_family()
    order = np.random.default_rng(0).permutation(len(labels))
    labels = labels.take(np.sort(order[: options.questions]))
    input_P, behind = seen(labels, options)
    rate_P = labels.success_rate_P
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for score in SCORES:
        draw = Draw(score, options.tau, options.references, options.chosen)
        for seed in range(options.seeds):
            rows = simulated(input_P, behind, rate_P, draw, options.rounds, seed)
            for number, row in enumerate(rows, 1):
                found.setdefault((score, number), []).append(row)
    random, perfect = ends(rate_P, options.chosen)
    caption = f"{len(rate_P)} questions, difficulty {1 - rate_P.mean():.3f} ± {rate_P.std():.3f}; effective: "
    output().print(table(found, f"{caption}{random:.3f} at random, {perfect:.3f} at best"))


if __name__ == "__main__":
    main()
