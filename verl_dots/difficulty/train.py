"""Train difficulty predictors on labelled questions and score them on questions set aside.

    python -m verl_dots.difficulty.train LABELS... --backbone FOLDER --out FOLDER [--seeds 1 2 3] [--preset paper]
        [--hold-out-labeller NAME]

The labels of several models stay apart: a batch and its references are of one of them, a labeller.
Three parts, by family of texts so that no repeated question lies on two sides: --test-share is only scored (the same
for every seed), --dev-share chooses the epoch (by seed), the rest is trained on. OUT holds the predictor of the first
seed, OUT/seed-N those of the others, OUT/training.json the results.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("train", "nothing was written: the same command starts from the beginning")

import numpy as np
from rich.console import Console

from verl_dots.difficulty import evaluate
from verl_dots.difficulty.embeddings import DEFAULT_CACHE, LAYERS, READS, Backbone, cached_embeddings
from verl_dots.difficulty.labeller_scores import check_labellers, labeller_table
from verl_dots.difficulty.labels import Labels, in_share, read_labels
from verl_dots.difficulty.model import PredictorConfig
from verl_dots.difficulty.options import (
    require_device,
    require_interval,
    require_seeds,
    require_share,
    require_whole,
)
from verl_dots.difficulty.test_part import score_by_labeller, score_methods
from verl_dots.difficulty.training import Trained, TrainingConfig, train
from verl_dots.files import try_folder
from verl_dots.settings import ConfigError

PRESETS = {"default": PredictorConfig, "paper": PredictorConfig.paper}
PRESET_READS = {"default": "answer_and_question", "paper": "question"}
PRESET_LAST_EPOCH = {"default": False, "paper": True}
TEST_SEED = 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.difficulty.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "labels", nargs="+", type=Path, metavar="LABELS", help="label files (parquet), of questions with answers"
    )
    parser.add_argument("--backbone", required=True, help="folder of the frozen embedding model")
    parser.add_argument("--out", required=True, type=Path, help="folder for the predictors and their scores")
    parser.add_argument(
        "--layers",
        choices=LAYERS,
        default="last",
        help="hidden states of the backbone that are averaged (default: %(default)s)",
    )
    parser.add_argument("--reads", choices=READS, help="what is embedded (default: the preset's own)")
    parser.add_argument("--cache", default=DEFAULT_CACHE, help="folder of cached embeddings (default: %(default)s)")
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        default="default",
        help="size and training of the predictor: this project's or the paper's (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1], metavar="SEED", help="a predictor is trained for each (default: 1)"
    )
    parser.add_argument(
        "--epochs", type=int, default=20, help="passes over the training questions (default: %(default)s)"
    )
    parser.add_argument(
        "--references",
        type=int,
        default=256,
        help="questions whose difficulty the predictor is given (default: %(default)s)",
    )
    parser.add_argument(
        "--draws", type=int, default=5, help="times that references are drawn; scores are means (default: %(default)s)"
    )
    parser.add_argument(
        "--test-share", type=float, default=0.2, help="share that is only scored (default: %(default)s)"
    )
    parser.add_argument(
        "--dev-share",
        type=float,
        default=0.15,
        help="share of what is not test that chooses the epoch (default: %(default)s)",
    )
    parser.add_argument(
        "--last-epoch",
        action=argparse.BooleanOptionalAction,
        help="keep the last epoch, not the best on dev (default: the preset's own; the paper's keeps the last)",
    )
    evaluate.add_labeller_option(parser)
    parser.add_argument(
        "--hold-out-labeller",
        nargs="+",
        default=[],
        metavar="NAME",
        help="train without the labels of these and score the predictor on them, as on a policy that it never met",
    )
    parser.add_argument(
        "--difficulty-range",
        nargs=2,
        type=float,
        default=(0.0, 100.0),
        metavar=("EASY", "HARD"),
        help="difficulties in the label files of the easiest and the hardest question (default: 0 100)",
    )
    parser.add_argument(
        "--device", default="cpu", help="where the models run: cpu, cuda, cuda:1 ... (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    options.reads = options.reads or PRESET_READS[options.preset]
    if options.last_epoch is None:
        options.last_epoch = PRESET_LAST_EPOCH[options.preset]
    if len(set(options.seeds)) < len(options.seeds):
        parser.error(f"--seeds must differ, got {options.seeds}")
    return options


def check(options: argparse.Namespace) -> None:
    """Refuse numbers that cannot work and places that cannot be written, before the questions are embedded.

    Raises:
        Refusal: the option, its value and what it must be.
    """
    for option, value, least in (
        ("--epochs", options.epochs, 1),
        ("--references", options.references, 1),
        ("--draws", options.draws, 1),
    ):
        require_whole(option, value, least)
    require_seeds("--seeds", options.seeds)
    require_share("--test-share", options.test_share)
    require_share("--dev-share", options.dev_share)
    require_interval("--difficulty-range", options.difficulty_range)
    require_device("--device", options.device)
    if (options.out / "config.json").exists():
        text = f"{options.out} holds a predictor already; give another --out or remove it"
        raise ConfigError(text, key="--out", reason="excluded")
    try_folder(options.out, f"--out {options.out}")
    try_folder(Path(options.cache).expanduser(), f"--cache {options.cache}")


def split(labels: Labels, options: argparse.Namespace) -> tuple[Labels, np.ndarray]:
    """The labels without those of the labellers held out, and bool [P], the test questions of all labels.

    Raises:
        Refusal: there is no such labeller, none is left, or one has too few test questions.
    """
    if options.hold_out_labeller:
        labels.of(options.hold_out_labeller)
    training = [name for name in labels.labellers if name not in options.hold_out_labeller]
    if not training:
        text = f"--hold-out-labeller {' '.join(options.hold_out_labeller)}: no other labeller is left to train with"
        raise ConfigError(text, key="--hold-out-labeller", reason="choice")
    test_P = in_share(labels.families, options.test_share, TEST_SEED)
    check_labellers(labels.take(np.flatnonzero(test_P)), options.references)
    return labels.of(training), test_P


def run(
    labels: Labels, embedding_P: np.ndarray, backbone: str, options: argparse.Namespace
) -> tuple[list[Trained], dict[str, evaluate.Scores], list[str]]:
    """Train one predictor per seed; also the scores on the test part and the families that training saw."""
    training, test_P = split(labels, options)
    asked = np.flatnonzero(np.isin(labels.ids, training.ids))
    embedding_P, test_P = embedding_P[asked], test_P[asked]
    known = training.take(np.flatnonzero(~test_P))
    config = PRESETS[options.preset](
        embedding_P.shape[1], backbone_id=backbone, embedding_layers=options.layers, embedding_reads=options.reads
    )
    settings = TrainingConfig(options.epochs, references=options.references, early_stopping=not options.last_epoch)
    trained = []
    rate_LP, embedding = known.success_rate_LP, embedding_P[~test_P]
    for seed in options.seeds:
        held_out = in_share(known.families, options.dev_share, seed)
        trained.append(train(embedding, rate_LP, held_out, config, settings, seed, options.device, progress=True))
    return trained, score_methods(trained, embedding_P, training, test_P, options), list(known.families)


def save(
    trained: Sequence[Trained],
    scores: dict,
    families: Sequence[str],
    options: argparse.Namespace,
    labellers: dict | None = None,
) -> None:
    """Write predictors, the families that training saw, and training.json."""
    for position, (seed, one) in enumerate(zip(options.seeds, trained, strict=True)):
        folder = options.out if position == 0 else options.out / f"seed-{seed}"
        one.model.save(folder)
        (folder / evaluate.FAMILIES_FILE).write_text(json.dumps(sorted(families)) + "\n")
    content = {
        "preset": options.preset,
        "seeds": options.seeds,
        "config": asdict(trained[0].model.config),
        "held_out_rho_by_epoch": [one.rho_by_epoch for one in trained],
        "epochs_kept": [one.epoch for one in trained],
        "methods": evaluate.summary(scores),
        "scores": scores,
        "labellers": labellers or {},
        "labellers_held_out": options.hold_out_labeller,
    }
    (options.out / "training.json").write_text(json.dumps(content, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        check(options)
        labels = read_labels(options.labels, tuple(options.difficulty_range), options.labeller).one_per_family()
        _, test_P = split(labels, options)
        backbone = Backbone(options.backbone, options.layers, reads=options.reads)
        embedding_P = cached_embeddings(
            backbone.inputs(labels.texts, labels.answers), backbone, options.cache, device=options.device
        )
        trained, scores, families = run(labels, embedding_P, backbone.id, options)
        by_labeller = score_by_labeller(trained, embedding_P, labels, test_P, options)
        save(trained, scores, families, options, by_labeller)
    except (ValueError, FileNotFoundError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False)
        return 2
    title = f"{test_P.sum()} test questions, {options.references} references, {options.draws} draws, "
    title += f"seeds {options.seeds}, embeddings of {options.reads.replace('_', ' ')}"
    Console().print(evaluate.table(scores, title))
    Console().print(labeller_table(by_labeller, options.hold_out_labeller))
    return 0


if __name__ == "__main__":
    sys.exit(main())
