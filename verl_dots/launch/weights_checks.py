"""Files of weights, checked by their headers and sizes: no weight is read."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from verl_dots.files import parse_json
from verl_dots.settings import ConfigError

# What transformers looks for in a model's folder, in its order, and what peft looks for in an adapter's.
MODEL_FILES = ("model.safetensors", "pytorch_model.bin")
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
INDEX = ".index.json"
POINTER = b"version https://git-lfs"
SHOWN = 3  # names in a message
Shapes = dict[str, tuple[int, ...]]


def weights_in(key: str, folder: Path, names: tuple[str, ...] = MODEL_FILES) -> list[Path]:
    """The files of weights that would be read from a folder, each of them whole; none where it has none.

    Args:
        key: the setting that names the folder, for the message.
        names: of single files; beside each an index may name its parts.

    Raises:
        ConfigError: a file is missing, damaged or cut short.
    """
    for name in names:
        if (folder / name).is_file():
            files = [folder / name]
        elif (folder / f"{name}{INDEX}").is_file():
            files = _parts(key, folder / f"{name}{INDEX}")
        else:
            continue
        for file in files:
            _require_whole(key, file)
        return files
    return []


def shapes_of(files: list[Path]) -> Shapes | None:
    """The shapes in whole files of safetensors by name; None where the files are of another kind."""
    if not files or any(file.suffix != ".safetensors" for file in files):
        return None
    return {name: shape for file in files for name, shape in _header(file).items()}


def require_shapes(key: str, folder: Path, wrong: Mapping[str, tuple[Any, Any]], missing: list[str]) -> None:
    """Refuse weights that are not those of the model that would read them.

    Args:
        key: of the setting that names `folder`.
        wrong: by name, the shapes in the file and in the model.
        missing: names of the model's that no file has.

    Raises:
        ConfigError: there are any; transformers and peft would draw such weights at random, or end in a worker.
    """
    if wrong:
        told = [f"{name} is {list(there)}, not {list(here)}" for name, (there, here) in sorted(wrong.items())[:SHOWN]]
        raise _refused(
            key, folder, f"{len(wrong)} of its weights have other shapes than its config says ({'; '.join(told)})"
        )
    if missing:
        named = ", ".join(sorted(missing)[:SHOWN])
        raise _refused(key, folder, f"its files lack {len(missing)} weights, which would be drawn at random: {named}")


def _parts(key: str, index: Path) -> list[Path]:
    try:
        told = parse_json(index.read_text())
        names = sorted(set(told["weight_map"].values()))
        if not names or not isinstance(told["metadata"], dict):
            raise ValueError("it lists nothing")
        files = [index.parent / name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(key, index, f"it is no index of weights ({error!r:.80})") from error
    if gone := [file.name for file in files if not file.is_file()]:
        raise _refused(key, index, f"it names {len(gone)} files that are not there: {', '.join(gone[:SHOWN])}")
    return files


def _require_whole(key: str, file: Path) -> None:
    with file.open("rb") as stream:
        begin = stream.read(len(POINTER))
    if begin == POINTER:
        raise _refused(key, file, "it is a pointer of Git LFS and holds no weights; `git lfs pull` fetches them")
    if file.suffix != ".safetensors":
        # Files of old versions of torch are no archives.
        if not begin or (begin.startswith(b"PK") and not zipfile.is_zipfile(file)):
            raise _refused(key, file, "it is damaged or cut short")
        return
    try:
        _header(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise _refused(key, file, f"it is damaged or cut short ({file.stat().st_size} bytes; {error})") from error


def _header(file: Path) -> Shapes:
    """safetensors compares the size of a file with its header."""
    with safe_open(file, framework="numpy") as opened:
        return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118  not a dict


def _refused(key: str, place: Path, words: str) -> ConfigError:
    return ConfigError(f"{key}: {place}: {words}. Copy the folder anew, or give another", key=key, reason="file")
