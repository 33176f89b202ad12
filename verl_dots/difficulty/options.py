"""Options of this folder's command lines, checked before a model is loaded; the messages name them."""

import math
from collections.abc import Sequence

import torch

from verl_dots.settings import ConfigError


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
