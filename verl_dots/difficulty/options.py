"""Options of this folder's command lines: those that several have, and checks before a model is loaded."""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from verl_dots.difficulty.embeddings import DEFAULT_CACHE, LAYERS
from verl_dots.settings import ConfigError

SHARED: Mapping[str, Mapping[str, Any]] = {
    "labels": dict(nargs="+", type=Path, metavar="LABELS", help="label files (parquet), of questions with answers"),
    "--labeller": dict(
        nargs="+", metavar="NAME",
        help="model that was asked, for label files that do not say: one name, or one a file (default: the file)",
    ),
    "--difficulty-range": dict(
        nargs=2, type=float, default=(0.0, 100.0), metavar=("EASY", "HARD"),
        help="difficulties in the label files of the easiest and the hardest question (default: 0 100)",
    ),
    "--layers": dict(
        choices=LAYERS, default="last", help="hidden states of the backbone that are averaged (default: %(default)s)"
    ),
    "--cache": dict(default=DEFAULT_CACHE, help="folder of cached embeddings (default: %(default)s)"),
    "--references": dict(
        type=int, default=256, help="questions whose difficulty the predictor is given (default: %(default)s)"
    ),
    "--draws": dict(
        type=int, default=5, help="times that references are drawn; scores are means (default: %(default)s)"
    ),
    "--device": dict(
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="where the models run: cpu, cuda, cuda:1 ... (default: cuda where torch sees a GPU, else cpu)",
    ),
}  # fmt: skip


def add(parser: argparse.ArgumentParser, *names: str) -> None:
    """Give a command line some of the `SHARED` options."""
    for name in names:
        parser.add_argument(name, **SHARED[name])


def require_whole(option: str, value: int, least: int, most: int | None = None) -> None:
    """Raise ConfigError unless least <= value <= most."""
    if value < least or (most is not None and value > most):
        allowed = f"{least} or more" if most is None else f"in {least}..{most}"
        raise ConfigError(f"{option} {value}: must be {allowed}", key=option, reason="range")


def require_seeds(option: str, seeds: Sequence[int]) -> None:
    """Raise ConfigError unless all seeds are such that torch and numpy take them."""
    for seed in seeds:
        require_whole(option, seed, 0, 2**31 - 1)


def require_share(option: str, value: float) -> None:
    """Raise ConfigError unless 0 < value < 1; nan is not."""
    if not 0 < value < 1:
        raise ConfigError(f"{option} {value}: must be above 0 and below 1", key=option, reason="range")


def require_interval(option: str, ends: Sequence[float]) -> None:
    """Raise ConfigError unless two ends are finite and differ."""
    first, second = ends
    if not math.isfinite(first) or not math.isfinite(second) or first == second:
        raise ConfigError(
            f"{option} {first} {second}: must be two finite numbers that differ", key=option, reason="range"
        )


def require_device(option: str, name: str) -> None:
    """Raise ConfigError unless torch knows the device and it is here."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"{option} {name}: torch knows no such device; it must be cpu, cuda, cuda:1 ...",
            key=option,
            reason="choice",
        ) from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"{option} {name}: must be cpu, cuda, cuda:1 ...", key=option, reason="choice")
    if device.type == "cuda" and (device.index or 0) >= (there := torch.cuda.device_count()):
        raise ConfigError(
            f"{option} {name}: torch sees {there} CUDA devices here; try cpu", key=option, reason="machine"
        )
