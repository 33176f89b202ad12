"""Pickles, files of `torch.save` among them: whether reading one can run code of whoever wrote it.

A pickle names what is called while it is read, so a checkpoint from a stranger could be a program. Here a file may name
tensors, plain values and the classes that describe how a tensor is sharded, and nothing else.
"""

import importlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from verl_dots.settings import ConfigError

# What describes a sharded tensor, as FSDP1 and FSDP2 save it over a mesh of devices; verl always gives them one.
# A name is looked at as a whole, never by the module that it begins with: what a module has imported is no part of it.
SHARDS = frozenset({
    "torch.distributed.tensor.DTensor", "torch.distributed.tensor._dtensor_spec.DTensorSpec",
    "torch.distributed.tensor._dtensor_spec.TensorMeta", "torch.distributed.tensor._dtensor_spec.ShardOrderEntry",
    "torch.distributed.tensor.placement_types.Shard", "torch.distributed.tensor.placement_types._StridedShard",
    "torch.distributed.tensor.placement_types.Replicate", "torch.distributed.tensor.placement_types.Partial",
    "torch.distributed.device_mesh.DeviceMesh", "torch.distributed._mesh_layout._MeshLayout",
    "torch.distributed._mesh_layout._FlatLayout",
})  # fmt: skip
# Parts of a numpy array: the state of numpy's random numbers is one.
NAMES = frozenset({
    "numpy.ndarray", "numpy.dtype", "numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar", "_codecs.encode",
})  # fmt: skip
# Classes of a numpy dtype, that of Python objects apart: torch asks for them by class, where a file names the dtype.
ARRAY_TYPES = [type(np.dtype(code)) for code in np.typecodes["All"] if code != "O"]
# What the TransferQueue saves beside tensors.
QUEUE_NAMES = frozenset({
    "collections.OrderedDict", "collections.defaultdict", "torch._utils._rebuild_tensor_v2", "torch.Size",
    "transfer_queue.controller.DataPartitionStatus", "transfer_queue.controller.FieldMeta",
})  # fmt: skip
QUEUE_STORAGE = "torch.storage._load_from_bytes"  # reads a file within the file
# A folder within its own, and its files of JSON. The second names the files of the folder, and could name any other.
QUEUE_UNITS, QUEUE_JSON = "simple_storage", ("metadata.json", "simple_storage/storage_unit_info.json")


def require_harmless_queue(folder: Path) -> None:
    """Pass what the TransferQueue has saved if it only builds rows of tensors and plain values.

    Where there are no folders but its own two, no name of a file leads out of them.

    Raises:
        ConfigError: a file is damaged, or names something else; a folder that the TransferQueue does not make.
    """
    units = folder / QUEUE_UNITS
    for entry in [*entries_of(folder), *entries_of(units)]:
        if entry == units and units.is_dir():
            continue
        if not entry.is_file():
            text = f"{entry} is no file, and the TransferQueue saves no folder but {QUEUE_UNITS}; move it away"
            raise ConfigError(text, key=str(entry), reason="excluded")
        if str(entry.relative_to(folder)) not in QUEUE_JSON:
            _require_harmless_rows(entry)


def _require_harmless_rows(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            _QueueFile(stream).load()
    except _StrangeError as error:
        raise _strange(file, [str(error)]) from None
    except Exception as error:  # noqa: BLE001 - bytes at random raise anything
        raise _damaged(file, error) from error


class _StrangeError(Exception):
    """A name that no saved queue has."""


class _QueueFile(pickle.Unpickler):
    """Resolves the names of a saved queue alone, before any of them is called."""

    def find_class(self, module: str, name: str) -> Any:
        path = f"{module}.{name}"
        if path == QUEUE_STORAGE:
            return lambda content: torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if path in QUEUE_NAMES | NAMES or (module == "torch" and isinstance(vars(torch).get(name), torch.dtype)):
            return super().find_class(module, name)
        raise _StrangeError(path)


def require_harmless(file: Path) -> None:
    """Pass a file that only builds tensors and plain values.

    Raises:
        ConfigError: it is damaged, or names something else; the message has the names.
    """
    _named(file)


def entries_of(folder: Path) -> list[Path]:
    """What is in a folder, sorted; nothing where there is none.

    `glob` finds nothing in a folder that must not be listed, while its files can be read by their names.

    Raises:
        ConfigError: it cannot be listed.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        text = f"{folder} cannot be listed ({error.strerror}), so its files are not looked at; allow it (chmod u+rx)"
        raise ConfigError(text, key=str(folder), reason="file") from error


def load(file: Path) -> Any:
    """What a harmless file of tensors holds, on the CPU.

    Raises:
        ConfigError: see `require_harmless`.
    """
    names = _named(file)
    try:
        with torch.serialization.safe_globals([*map(_object, names), *ARRAY_TYPES]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - bytes at random raise anything
        raise _damaged(file, error) from error


def _named(file: Path) -> list[str]:
    """The names in a file, beyond what torch takes for safe."""
    try:
        names = get_unsafe_globals_in_checkpoint(str(file))
    except Exception as error:  # noqa: BLE001 - bytes at random raise anything
        raise _damaged(file, error) from error
    if strange := sorted(set(names) - SHARDS - NAMES):
        raise _strange(file, strange)
    return names


def _object(name: str) -> Any:
    """What an allowed name stands for. Raises ImportError or AttributeError where this torch lacks it."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _damaged(file: Path, error: Exception) -> ConfigError:
    told = f"{file} is damaged: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ConfigError(told, key=str(file), reason="damaged")


def _strange(file: Path, names: list[str]) -> ConfigError:
    return ConfigError(
        f"{file} holds more than tensors and plain values: reading it would call {', '.join(names)}, and may run "
        "any program. A checkpoint that you have not written yourself is not to be read",
        key=str(file),
        reason="excluded",
    )
