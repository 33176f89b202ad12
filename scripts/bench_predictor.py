"""Quality of the difficulty predictor on real questions: every method, the same test questions, the same references.

    python -m scripts.bench_predictor LABELS... --backbone FOLDER [--cache FOLDER] [--seeds 1 2 3]

No question of a family (same text but for case, spaces and punctuation) lies on both sides of a split.
"""

import argparse

from verl_dots.difficulty import evaluate, train
from verl_dots.difficulty.embeddings import Backbone, cached_embeddings
from verl_dots.difficulty.labels import read_labels
from verl_dots.difficulty.options import add
from verl_dots.difficulty.prediction_scores import truth
from verl_dots.terminal import output

VARIANTS = {
    "paper_last_epoch": ["--preset", "paper"],
    "paper_best_epoch": ["--preset", "paper", "--no-last-epoch"],
    "default_without_surface": ["--no-surface"],
    "default": [],
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_predictor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add(parser, "labels")
    parser.add_argument("--backbone", required=True, help="folder of the frozen embedding model")
    add(parser, "--layers", "--cache")
    parser.add_argument(
        "--seeds",
        nargs="+",
        default=["1", "2", "3"],
        metavar="SEED",
        help="every method is trained with each (default: 1 2 3)",
    )
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="methods to train (default: all)"
    )
    add(parser, "--labeller")
    return parser.parse_args()


def main() -> None:
    options = parse()
    labels = read_labels(options.labels, labellers=options.labeller).one_per_family()
    scores: dict[str, evaluate.Scores] = {}
    common = ["labels", "--backbone", options.backbone, "--out", "unused", "--seeds", *options.seeds]
    for name in options.variants:
        chosen = train.parse([*common, *VARIANTS[name]])
        backbone = Backbone(options.backbone, options.layers, reads=chosen.reads)
        embedding_P = cached_embeddings(backbone.inputs(labels.texts, labels.answers), backbone, options.cache)
        result = train.run(labels, embedding_P, backbone.id, chosen)
        for method, value in result.scores.items():
            scores[f"{name if method.startswith('predictor') else method}, of {chosen.reads}"] = value
    title = f"{len(labels)} questions in all, layers {options.layers}, seeds {' '.join(options.seeds)}"
    output().print(evaluate.table(scores, title, truth(result.test_difficulty_P)))


if __name__ == "__main__":
    main()
