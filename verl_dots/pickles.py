"""Files of `torch.save`, which are pickles: whether reading one can run code of whoever wrote it.

A pickle names what is called while it is read, so a checkpoint from a stranger could be a program. Here a file may name
tensors, plain values and the classes that describe how a tensor is sharded, and nothing else.
"""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from verl_dots.settings import ConfigError

# Classes of these modules describe sharded tensors. What torch itself takes for safe is never listed.
MODULES = (
    "torch.distributed.tensor", "torch.distributed._tensor", "torch.distributed.device_mesh",
    "torch.distributed._mesh_layout", "torch.distributed._shard", "torch.distributed.remote_device",
)  # fmt: skip
# Parts of a numpy array: the state of numpy's random numbers is one.
NAMES = frozenset({
    "numpy.ndarray", "numpy.dtype", "numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar", "_codecs.encode",
})  # fmt: skip


def require_harmless(file: Path) -> None:
    """Pass a file that only builds tensors and plain values.

    Raises:
        ConfigError: it is damaged, or names something else; the message has the names.
    """
    _named(file)


def load(file: Path) -> Any:
    """What a harmless file of tensors holds, on the CPU.

    Raises:
        ConfigError: see `require_harmless`.
    """
    with torch.serialization.safe_globals(_named(file)):
        return torch.load(file, map_location="cpu", weights_only=True)


def _named(file: Path) -> list[Any]:
    """The objects that a file names, beyond what torch takes for safe."""
    try:
        names = get_unsafe_globals_in_checkpoint(str(file))
    except Exception as error:  # noqa: BLE001 - bytes at random raise anything
        told = f"{file} is damaged: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise ConfigError(told, key=str(file), reason="damaged") from error
    found = {name: _resolved(name) for name in names}
    if strange := sorted(name for name, value in found.items() if value is None):
        raise ConfigError(
            f"{file} holds more than tensors and plain values: reading it would call {', '.join(strange)}, and may run "
            "any program. A checkpoint that you have not written yourself is not to be read",
            key=str(file),
            reason="excluded",
        )
    return list(found.values())


def _resolved(name: str) -> Any:
    """The object of a name that a file may use, None for any other."""
    module, _, attribute = name.rpartition(".")
    if name not in NAMES and not module.startswith(tuple(f"{one}." for one in MODULES)) and module not in MODULES:
        return None
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):  # such a path through a module's imports is none of a class
        return None
    return value if name in NAMES or isinstance(value, type) else None
