"""The files of a model: what tells one from another, and what is wrong with those of a checkpoint of verl's.

A checkpoint has FSDP's shards, or Megatron's files.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from verl_dots.files import parse_json
from verl_dots.manifest import files_below

FSDP = "fsdp_config.json"  # beside the shards of every FSDP checkpoint
MEGATRON = ("transformer_config.json", "ckpt_contents.json")  # the first is written early, the second last
SHARDS = {
    "model": "model_world_size_{ranks}_rank_{rank}.pt",
    "optimizer": "optim_world_size_{ranks}_rank_{rank}.pt",
    "extra": "extra_state_world_size_{ranks}_rank_{rank}.pt",
}
MOST_RANKS = 100_000
# A model's own files in a folder, as the hub has them; its config comes with the code that reads it.
CONFIG = ("config.json", "*.py")
GENERATION = ("generation_config.json",)
TOKENIZER = (
    "tokenizer*", "chat_template*", "vocab*", "merges.txt", "*.model", "added_tokens.json", "special_tokens_map.json",
)  # fmt: skip
WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.npy")
SAMPLE_BYTES = 2**20


def matching(folder: Path, globs: Iterable[str]) -> set[Path]:
    """The files of a folder with such names."""
    return {file for glob in globs for file in folder.glob(glob) if file.is_file()}


def ends(file: Path) -> bytes:
    """The first and last MiB of a file: reading all of a large model would take minutes."""
    with file.open("rb") as stream:
        start = stream.read(SAMPLE_BYTES)
        stream.seek(max(0, file.stat().st_size - SAMPLE_BYTES))
        return start + stream.read(SAMPLE_BYTES)


def digest(files: Iterable[Path], content: Callable[[Path], bytes] = Path.read_bytes) -> str:
    """A hash of files, by their names, sizes and contents.

    Args:
        content: what stands for that of a file: all of it, or its `ends`.
    """
    hasher = hashlib.sha256()
    for file in sorted(files):
        hasher.update(f"{file.name}|{file.stat().st_size}|".encode())
        hasher.update(content(file))
    return f"sha256 {hasher.hexdigest()[:16]}"


def archive_faults(folder: Path, name: str) -> list[str]:
    """torch.save writes a zip archive, whose directory comes last: one cut short is none."""
    file = folder / name
    if not file.is_file():
        return [f"{name} is missing"]
    return [] if zipfile.is_zipfile(file) else [f"{name} is damaged or cut short"]


def model_faults(folder: Path, model: str, contents: Sequence[str], by_list: bool) -> list[str]:
    """What is wrong with the actor or the critic of a checkpoint.

    Args:
        folder: of the checkpoint.
        model: its folder in there.
        contents: kinds of files, of `SHARDS`; others are not looked for.
        by_list: a list of files tells what this node saw; without one all ranks must be there.
    """
    place = folder / model
    if not place.is_dir():
        return [f"{model}/ is missing"]
    if not (place / FSDP).is_file():
        started, done = (place / name for name in MEGATRON)
        if started.is_file() and not done.is_file() and not by_list:
            return [f"{model}/{done.name} is missing: it was not written to its end"]
        if any(place.glob("*_world_size_*")):
            return [f"{model}/{FSDP} is missing"]
        return [] if any(file.stat().st_size for file in files_below(place)) else [f"{model}/ is empty"]
    ranks = world_size(place)
    if ranks is None:
        return [f"{model}/{FSDP} is damaged: its world_size must be a whole number from 1 to {MOST_RANKS}"]
    found = []
    for kind in contents:
        if kind not in SHARDS:
            continue
        names = [SHARDS[kind].format(ranks=ranks, rank=rank) for rank in range(ranks)]
        if by_list:
            names = [name for name in names if (place / name).exists()] or names[:1]
        found += [fault for name in names for fault in archive_faults(folder, f"{model}/{name}")]
    return found


def world_size(model: Path) -> int | None:
    """Ranks of an FSDP checkpoint; None where its description is damaged."""
    try:
        ranks = parse_json((model / FSDP).read_text())["world_size"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ranks if type(ranks) is int and 1 <= ranks <= MOST_RANKS else None
