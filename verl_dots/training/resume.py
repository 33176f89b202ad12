"""From which checkpoint a run resumes, and whether it may: decided before anything starts, and again by the trainer."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_dots.checkpoints import (
    DATA,
    TRACKER,
    Needs,
    checkpoints_in,
    describe,
    faults,
    state_faults,
    step_of,
    tracked,
    write_tracker,
)  # fmt: skip
from verl_dots.config import DotsConfig
from verl_dots.manifest import MANIFEST
from verl_dots.model_files import FSDP, world_size
from verl_dots.secrets import hidden
from verl_dots.settings import ConfigError
from verl_dots.state import Kind, StateError
from verl_dots.training.fingerprints import FILES, MODELS, fingerprints
from verl_dots.training.in_flight import QUEUE, load_in_flight, require_same_mode
from verl_dots.training.loader_state import loader_fault, require_same_workers
from verl_dots.training.parts import has_critic
from verl_dots.training.resume_settings import changes, decisive
from verl_dots.training.run_record import CONFIG, load_record, saved_settings

logger = logging.getLogger(__name__)

WAYS_OUT = (
    "To begin anew: trainer.resume_mode=disable, which keeps them aside, or another trainer.default_local_dir. "
    "To resume from a certain one: trainer.resume_mode=resume_path trainer.resume_from_path=FOLDER/global_step_N"
)
SHOWN = 12  # changed settings named in the log


def find_checkpoint(config: DictConfig, claimed: bool = False) -> Path | None:
    """The checkpoint that a run resumes from; None where it begins at step 0.

    Args:
        claimed: launch/claim.py has just read its contents, which takes minutes of a large model: compare sizes alone.

    Raises:
        ConfigError: there are checkpoints, and none can be resumed from; or the one found is of another run.
    """
    trainer = config.trainer
    if trainer.resume_mode == "resume_path":
        found = _given(config, claimed)
    elif trainer.resume_mode == "auto":
        found = _newest(Path(trainer.default_local_dir), config, claimed)
        _require_links(Path(trainer.default_local_dir), found)
    else:
        return None
    if found is not None:
        _require_same_run(found, config)
        require_same_mode(found, config)
        _require_ranks(found, config)
        require_same_workers(found, config)
        if not config.dots.trust_checkpoint:
            _require_harmless(found)
    return found


def repair_tracker(config: DictConfig, found: Path | None) -> None:
    """Let verl's tracker name the checkpoint that was found, which verl will load."""
    run = Path(config.trainer.default_local_dir)
    if found is not None and config.trainer.resume_mode == "auto" and tracked(run) != step_of(found):
        write_tracker(run, step_of(found))


def saved_by(config: DictConfig) -> Needs:
    """What a checkpoint of this run holds."""
    return _needs(config, "save_contents", _states(OmegaConf.to_container(config.dots, resolve=True), config))


def _states(dots: Mapping[str, Any], config: DictConfig) -> tuple[Kind, ...]:
    # It imports verl: not before the environment is set.
    from verl_dots.methods.table import state_kinds

    return state_kinds(DotsConfig.from_mapping(dots), config)


def _needs(config: DictConfig, contents_key: str, states: tuple[Kind, ...]) -> Needs:
    contents = OmegaConf.select(config, f"actor_rollout_ref.actor.checkpoint.{contents_key}")
    parts = ("actor", "critic") if has_critic(config) else ("actor",)
    background = bool(OmegaConf.select(config, "actor_rollout_ref.actor.checkpoint.async_save"))
    return Needs(tuple(contents or Needs.contents), parts, states=states, listed=not background)


def _faults_at(folder: Path, config: DictConfig, checksums: bool) -> list[str]:
    """What keeps this run from resuming there. No file is believed before it is seen to be as it was saved."""
    if found := faults(folder, _needs(config, "load_contents", states=()), checksums):
        return found
    try:
        states = _states_at(folder, config)
        load_record(folder)
        load_in_flight(folder)
    except StateError as error:
        return [str(error)]
    return state_faults(folder, states) or loader_fault(folder)


def _states_at(folder: Path, config: DictConfig) -> tuple[Kind, ...]:
    """Of the stages of the checkpoint's own settings: others are told apart as settings.

    Raises:
        StateError: its settings are none of a run; none of the user's own is meant, so no ConfigError.
    """
    saved = saved_settings(folder)
    if saved is None or "dots" not in saved:
        return ()
    try:
        known = {key: value for key, value in saved["dots"].items() if key in config.dots}
        return _states(known, OmegaConf.create(saved))
    except (AttributeError, TypeError, ConfigError, OmegaConfBaseException) as error:
        text = f"{CONFIG} does not hold the settings of a run ({' '.join(str(error).split()):.120})"
        raise StateError(text, key=str(folder / CONFIG), reason="damaged") from error


def _given(config: DictConfig, claimed: bool) -> Path:
    given = config.trainer.resume_from_path
    folder = Path(str(given))
    if given is None or step_of(folder) is None or not folder.is_dir():
        raise ConfigError(
            f"trainer.resume_from_path={given}: with trainer.resume_mode=resume_path it must be the folder of a "
            "checkpoint, .../global_step_N",
            key="trainer.resume_from_path",
            reason="file",
        )
    if found := _faults_at(folder, config, checksums=not claimed):
        text = f"trainer.resume_from_path={given} is no complete checkpoint: {', '.join(found[:5])}; name another"
        raise ConfigError(text, key="trainer.resume_from_path", reason="file")
    return folder


def _newest(run: Path, config: DictConfig, claimed: bool) -> Path | None:
    there = checkpoints_in(run)
    named = tracked(run)
    if not there and named is None:
        return None
    skipped: dict[Path, list[str]] = {}
    for folder in reversed(there):
        if not (found := _faults_at(folder, config, checksums=not claimed or step_of(folder) != named)):
            break
        skipped[folder] = found
    else:
        if named is None and not any((folder / MANIFEST).exists() for folder in there):
            # The tracker and the lists of files come last: nothing was ever saved, and nothing is lost.
            logger.warning("%s: the run ended in its first save (%s); it begins anew", run, describe(skipped))
            return None
        what = f"none of its checkpoints is complete: {describe(skipped)}" if there else "its checkpoints are gone"
        said = "" if named is None else f" ({TRACKER} says {named!r})"
        text = f"{run} is of a run that has been saved, but {what}{said}. It is not begun again in silence. {WAYS_OUT}"
        raise ConfigError(text, key=str(run), reason="file")
    if skipped:
        logger.warning("%s: %s is the newest complete checkpoint; left out: %s", run, folder.name, describe(skipped))
    elif named != step_of(folder):
        logger.warning("%s: %s is the newest complete checkpoint, %s says %r", run, folder.name, TRACKER, named)
    return folder


def _require_links(run: Path, found: Path | None) -> None:
    """Refuse a link to a checkpoint that is not there: what begins at another step is not what it was made for."""
    for link in run.glob("global_step_*"):
        newer = (step_of(link) or 0) > (step_of(found) if found else 0)
        if newer and link.is_symlink() and not link.exists():
            words = f"is a link to {link.readlink()}, which is not there; mend it (a relative one begins in {run})"
            raise ConfigError(f"{link} {words}, or remove it", key=str(link), reason="file")


def _require_ranks(folder: Path, config: DictConfig) -> None:
    """verl reads shards by the number of ranks that wrote them."""
    ranks = world_size(folder / "actor")
    here = config.trainer.n_gpus_per_node * config.trainer.nnodes
    if ranks not in (None, here):
        raise ConfigError(
            f"{folder} was saved by {ranks} ranks, this run has {here} (trainer.nnodes * trainer.n_gpus_per_node); "
            f"verl's FSDP checkpoints are resumed by as many: set them to {ranks} in all, or train the merged model "
            f"anew in another folder (python -m verl.model_merger merge --backend fsdp --local_dir {folder}/actor)",
            key="trainer.nnodes",
            reason="other run",
        )


def _require_harmless(folder: Path) -> None:
    """Refuse files that verl would read as programs: a checkpoint may come from anybody."""
    # It imports torch: not before the environment is set.
    from verl_dots.pickles import entries_of, require_harmless, require_harmless_queue

    models = [model for model in (folder / "actor", folder / "critic") if (model / FSDP).is_file()]
    try:
        require_harmless(folder / DATA)
        for file in (file for model in models for file in entries_of(model)):
            if "_world_size_" in file.name and file.suffix == ".pt":
                require_harmless(file)
        require_harmless_queue(folder / QUEUE)
    except ConfigError as error:
        text = f"{error}. If it is your own, dots.trust_checkpoint=True reads it"
        raise ConfigError(text, key="dots.trust_checkpoint", reason=error.reason or "file") from error


def _require_same_run(folder: Path, config: DictConfig) -> None:
    """Refuse a checkpoint of other seeds, data, model or method; log whatever else has changed."""
    saved, record = hidden(saved_settings(folder)), load_record(folder)  # neither is damaged: it is complete
    if saved is None:
        logger.warning("%s does not tell its settings: that they are this run's is not checked", folder)
        return
    here = OmegaConf.to_container(OmegaConf.create(hidden(OmegaConf.to_container(config))), resolve=True)
    changed = changes(saved, here)
    refused = {key: values for key, values in changed.items() if decisive(key, saved, here)}
    for key, told in _contents(config, record.fingerprints if record else {}, saved, here).items():
        refused.pop(key, None)
        if told:
            refused[key] = told
    if refused:
        listed = "; ".join(f"{key}: {old!r} there, {new!r} here" for key, (old, new) in refused.items())
        text = (
            f"{folder} is of a run with other settings: {listed}. Resume with its own, or begin anew in another folder "
            "(trainer.default_local_dir) or with trainer.resume_mode=disable"
        )
        raise ConfigError(text, key=next(iter(refused)), reason="other run")
    if free := [f"{key}: {old!r} -> {new!r}" for key, (old, new) in changed.items() if key not in refused]:
        more = f" and {len(free) - SHOWN} more" if len(free) > SHOWN else ""
        logger.warning("%s: changed since it was saved: %s%s", folder.name, "; ".join(free[:SHOWN]), more)


def _contents(
    config: DictConfig, before: dict[str, str | None], saved: dict[str, Any], here: dict[str, Any]
) -> dict[str, tuple[str, str] | None]:
    """Settings that name files or models whose content is known on both sides: None where it is the same."""
    found: dict[str, tuple[str, str] | None] = {}
    after = fingerprints(config)
    for key in (*FILES, *MODELS):
        old, new = before.get(key), after.get(key)
        if old is None or new is None or not decisive(key, saved, here):
            continue
        paths = [OmegaConf.select(OmegaConf.create(side), key) for side in (saved, here)]
        if old == new or (key.startswith("reward.") and paths[0] == paths[1]):
            found[key] = None  # a reward that was mended under its name is the user's own affair
        else:
            found[key] = (f"{paths[0]} (content {old})", f"{paths[1]} (content {new})")
    return found
