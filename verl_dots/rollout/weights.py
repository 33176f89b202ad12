"""Replace the parameters of a model in place."""

from collections.abc import Mapping

import torch


def replace_parameters(model: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Copy `weights` over all parameters of `model`; nothing changes if any does not fit.

    Tied parameters may be named once or under each of their names.

    Raises:
        ValueError: a parameter is missing, unknown or of another shape.
    """
    own = dict(model.named_parameters())
    known = dict(model.named_parameters(remove_duplicate=False))
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in known]
    shapes = [name for name, weight in weights.items() if name in known and known[name].shape != weight.shape]
    if missing or unknown or shapes:
        raise ValueError(
            f"the new weights do not fit the engine's model: missing {missing[:3]} ({len(missing)}), "
            f"unknown {unknown[:3]} ({len(unknown)}), other shape {shapes[:3]} ({len(shapes)})"
        )
    with torch.no_grad():
        for name, weight in weights.items():
            known[name].copy_(weight)
