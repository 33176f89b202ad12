"""Options of `verl_dots.difficulty.train`, and what is refused before anything is read."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from verl_dots.difficulty.embeddings import READS
from verl_dots.difficulty.model import PredictorConfig
from verl_dots.difficulty.options import (
    add,
    require_device,
    require_interval,
    require_seeds,
    require_share,
    require_whole,
)
from verl_dots.difficulty.predictor_config import CALIBRATIONS
from verl_dots.files import require_own, try_folder
from verl_dots.settings import ConfigError

PRESETS = {"default": PredictorConfig, "paper": PredictorConfig.paper}
PRESET_READS = {"default": "answer_and_question", "paper": "question"}
PRESET_LAST_EPOCH = {"default": False, "paper": True}
PRESET_SURFACE = {"default": True, "paper": False}


def parse(arguments: Sequence[str] | None, description: str) -> argparse.Namespace:
    """The options, those of the preset filled in."""
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.difficulty.train",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add(parser, "labels")
    parser.add_argument("--backbone", required=True, help="folder of the frozen embedding model")
    parser.add_argument("--out", required=True, type=Path, help="folder for the predictors and their scores")
    _add_inputs(parser)
    _add_training(parser)
    add(parser, "--labeller")
    parser.add_argument(
        "--hold-out-labeller",
        nargs="+",
        default=[],
        metavar="NAME",
        help="train without the labels of these and score the predictor on them, as on a policy that it never met",
    )
    add(parser, "--difficulty-range", "--device")
    options = parser.parse_args(arguments)
    options.reads = options.reads or PRESET_READS[options.preset]
    if options.last_epoch is None:
        options.last_epoch = PRESET_LAST_EPOCH[options.preset]
    options.surface = PRESET_SURFACE[options.preset] if options.surface is None else options.surface
    if options.surface and options.preset == "paper":
        parser.error("--surface does not go with --preset paper, which has the embedding alone")
    if len(set(options.seeds)) < len(options.seeds):
        parser.error(f"--seeds must differ, got {options.seeds}")
    return options


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    """What the predictor sees of a question."""
    add(parser, "--layers")
    parser.add_argument("--reads", choices=READS, help="what is embedded (default: the preset's own)")
    parser.add_argument(
        "--surface",
        action=argparse.BooleanOptionalAction,
        help="see what question and ground truth look like, beside the embedding (default: the preset's own)",
    )
    add(parser, "--cache")


def _add_training(parser: argparse.ArgumentParser) -> None:
    """How it is trained and scored."""
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        default="default",
        help="size and training of the predictor: this project's or the paper's (default: %(default)s)",
    )
    parser.add_argument(
        "--shared-adapter",
        action="store_true",
        help="one projection, as in the paper's text (default: two)",
    )
    parser.add_argument(
        "--calibration",
        choices=CALIBRATIONS,
        metavar="WAY",
        help=f"{', '.join(CALIBRATIONS)} (default: the preset's own)",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1], metavar="SEED", help="a predictor is trained for each (default: 1)"
    )
    parser.add_argument(
        "--epochs", type=int, default=20, help="passes over the training questions (default: %(default)s)"
    )
    add(parser, "--references", "--draws")
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
    written = ("model.safetensors", "training.json", *(f"seed-{seed}" for seed in options.seeds[1:]))
    require_own(options.out, written, lambda _: False, f"--out {options.out}")
    try_folder(options.out, f"--out {options.out}")
    try_folder(Path(options.cache).expanduser(), f"--cache {options.cache}")
