"""Checkpoints of a run folder: which are complete, which is the newest, and how many stay.

runs/mine/latest_checkpointed_iteration.txt   verl's tracker: the step of the newest checkpoint, written plainly by verl
runs/mine/global_step_60/                     actor/ (critic/), data.pt, the stages' states; complete.json comes last
runs/mine/superseded-TIME/global_step_80/     what a run that began again before step 80 has put aside

A global_step_N may be a link to a checkpoint of step N elsewhere: a run resumes from it, and removes the link alone.

complete.json lists every file with its size and checksum. A checkpoint of stock verl has none and is judged by its
files alone; so is one that verl writes in the background, which ends after the step that began it.
"""

import logging
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from verl_dots.files import free_name, write_atomically
from verl_dots.manifest import MANIFEST, ManifestError, changed, files_below, read_manifest, step_of
from verl_dots.model_files import SHARDS, archive_faults, model_faults
from verl_dots.state import Kind, StateError, load_state

logger = logging.getLogger(__name__)

TRACKER = "latest_checkpointed_iteration.txt"
SHOWN = 40  # characters of a tracker that names no step
DATA = "data.pt"
RECORD = "run.state"  # comes first of what a run of this package saves


@dataclass(frozen=True)
class Needs:
    """What a checkpoint must hold for a purpose.

    Attributes:
        contents: kinds of files of each model, of `SHARDS`; other kinds of verl's are not looked for.
        models: folders of them.
        data: the state of the data loader, too.
        states: of the stages whose states are there.
        listed: what a run of this package has saved must have its list of files, or it was not finished.
    """

    contents: tuple[str, ...] = tuple(SHARDS)
    models: tuple[str, ...] = ("actor",)
    data: bool = True
    states: tuple[Kind, ...] = ()
    listed: bool = True


WEIGHTS_ONLY = Needs(contents=("model",), data=False, listed=False)


def checkpoints_in(run: Path) -> list[Path]:
    """Folders global_step_N of a run, complete or not, ascending in N."""
    found = [folder for folder in run.glob("global_step_*") if step_of(folder) is not None and folder.is_dir()]
    return sorted(found, key=lambda folder: (step_of(folder), folder.name))


def faults(folder: Path, needs: Needs, checksums: bool = False) -> list[str]:
    """What keeps a checkpoint global_step_N from being complete; an empty list for one that is.

    Args:
        folder: of the checkpoint.
        needs: what it must hold.
        checksums: compare the content of each file with its checksum, which reads all of them.
    """
    if (other := step_of(folder.resolve())) not in (None, step_of(folder)):
        return [f"it is a link to a checkpoint of step {other}"]
    try:
        listed = read_manifest(folder)
    except ManifestError as error:
        return [str(error)]
    if listed is None and needs.listed and (folder / RECORD).is_file():
        return [f"{MANIFEST} is missing: it was not saved to its end"]
    found = changed(folder, listed or {}, checksums)
    if needs.data:
        found += archive_faults(folder, DATA)
    for model in needs.models:
        found += model_faults(folder, model, needs.contents, by_list=listed is not None)
    return list(dict.fromkeys(found + state_faults(folder, needs.states)))


def weight_faults(folder: Path, below: str) -> list[str]:
    """Files of a checkpoint's weights that are not as they were saved, by content; nothing where it has no list.

    Args:
        folder: of the checkpoint.
        below: folder of the weights in it, whose shards of other kinds do not count: "actor" or "actor/huggingface".
    """
    try:
        listed = read_manifest(folder) or {}
    except ManifestError as error:
        return [str(error)]
    others = tuple(f"{below}/{SHARDS[kind].partition('{')[0]}" for kind in ("optimizer", "extra"))
    names = [name for name in listed if name.startswith(f"{below}/") and not name.startswith(others)]
    return changed(folder, {name: listed[name] for name in names}, checksums=True)


def state_faults(folder: Path, states: Iterable[Kind]) -> list[str]:
    """What is wrong with the states of a checkpoint's stages."""
    found = []
    for kind in states:
        try:
            load_state(folder / f"{kind.name}.safetensors", kind)
        except StateError as error:
            found.append(str(error))
    return found


def newest_complete(run: Path, needs: Needs) -> tuple[Path | None, dict[Path, list[str]]]:
    """The complete checkpoint of the greatest step, and what is wrong with those of greater steps."""
    skipped: dict[Path, list[str]] = {}
    for folder in reversed(checkpoints_in(run)):
        if not (found := faults(folder, needs)):
            return folder, skipped
        skipped[folder] = found
    return None, skipped


def describe(skipped: Mapping[Path, list[str]], most: int = 2) -> str:
    """The folders by name, each with its first faults."""
    texts = []
    for folder, found in skipped.items():
        more = f" and {len(found) - most} more" if len(found) > most else ""
        texts.append(f"{folder.name} ({', '.join(found[:most])}{more})")
    return "; ".join(texts)


def tracked(run: Path) -> int | str | None:
    """The step that the tracker names, its text where that is no step, None where there is no tracker."""
    file = run / TRACKER
    if not file.is_file():
        return None
    text = file.read_bytes().decode(errors="replace").strip()
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else text[:SHOWN]


def write_tracker(run: Path, step: int) -> None:
    """Name the newest checkpoint, whole or not at all."""
    write_atomically(run / TRACKER, lambda partial: partial.write_text(str(step)))


def revoke(folder: Path) -> None:
    """Remove a checkpoint, which is about to be written again, or is not to be kept.

    None of its files stays: a killed save may have left some of what the run had on then. The list and the data come
    first, as half a folder must never look whole. Of a link only the link is removed.
    """
    if folder.is_symlink():
        folder.unlink()
        return
    for file in (folder / MANIFEST, folder / DATA):
        file.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        logger.warning("%s could not be removed whole", folder)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; 0 where there is none."""
    return sum(file.stat().st_size for file in files_below(folder)) if folder.is_dir() else 0


def bytes_of(checkpoint: Path) -> int:
    """Bytes that were saved, without what evaluations have added since."""
    try:
        listed = read_manifest(checkpoint)
    except ManifestError:
        listed = None
    return size_of(checkpoint) if listed is None else sum(said.bytes for said in listed.values())


def prune(run: Path, keep: int, needs: Needs) -> list[Path]:
    """Remove whole checkpoints until `keep` complete ones are left, and incomplete ones older than the newest.

    The newest complete one always stays; without one nothing is removed.
    """
    newest, _ = newest_complete(run, needs)
    if newest is None:
        return []
    older = [folder for folder in reversed(checkpoints_in(run)) if step_of(folder) < step_of(newest)]
    complete = [folder for folder in older if not faults(folder, needs)]
    gone = [folder for folder in older if folder not in complete[: max(keep, 1) - 1]]
    for folder in gone:
        revoke(folder)
    return gone


def set_aside(run: Path, after: int) -> Path | None:
    """Move checkpoints of steps after `after` into a folder of their own: the run has begun again before them.

    Returns:
        That folder; None where there are no such checkpoints.
    """
    newer = [folder for folder in checkpoints_in(run) if step_of(folder) > after]
    if not newer:
        return None
    place = free_name(run / f"superseded-{time.strftime('%Y%m%d-%H%M%S')}")
    place.mkdir()
    for folder in newer:
        if folder.is_symlink():  # which may be relative
            (place / folder.name).symlink_to(folder.resolve())
            folder.unlink()
        else:
            folder.rename(place / folder.name)
    left = checkpoints_in(run)
    if left:
        write_tracker(run, step_of(left[-1]))
    else:
        (run / TRACKER).unlink(missing_ok=True)
    names = ", ".join(folder.name for folder in newer)
    logger.warning("%s: the run begins after step %d; its earlier %s are kept in %s", run, after, names, place.name)
    return place
