"""data.pt of a checkpoint: whether it holds the place of a data loader, and of one like this run's."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from verl_dots.checkpoints import DATA
from verl_dots.settings import ConfigError

WORKERS = "data.dataloader_num_workers"
# What torchdata asks for, of a loader in the trainer's own process and of one with worker processes.
ALONE = frozenset(
    {"_num_yielded", "_sampler_iter_yielded", "_sampler_iter_state", "dataset_state", "_iterator_finished"}
)
KINDS = {"_num_yielded": int, "_sampler_iter_yielded": int, "_steps_since_snapshot": int, "_iterator_finished": bool}
MANY = frozenset({"_snapshot", "_steps_since_snapshot", "_iterator_finished"})


def loader_fault(folder: Path) -> list[str]:
    """What is wrong with the state of the data loader, in words; nothing where reading it could run a program."""
    try:
        state = _read(folder)
    except ConfigError:
        return [f"{DATA} is damaged"]
    if state is None:
        return []
    if isinstance(state, dict) and (state.keys() >= ALONE or _snapshot(state) is not None):
        wrong = [f"{name} {state[name]!r:.40}" for name, kind in KINDS.items() if not _fits(state, name, kind)]
        return [f"{DATA} is not the state of a data loader (it has {', '.join(wrong)})"] if wrong else []
    told = f"the keys {', '.join(sorted(map(str, state))[:3]) or '(none)'}" if isinstance(state, dict) else "no dict"
    return [f"{DATA} is not the state of a data loader ({told})"]


def _fits(state: dict[str, Any], name: str, kind: type) -> bool:
    """Whether the state lacks a value, or it is of this kind, and no number below 0."""
    value = state.get(name, kind())
    return type(value) is kind and value >= 0


def require_same_workers(folder: Path, config: DictConfig) -> None:
    """Refuse the state of a loader that divides its work otherwise: torchdata would not take it.

    Raises:
        ConfigError: another number of its processes.
    """
    state = _read(folder)
    if state is None:
        return
    snapshot = _snapshot(state)
    there, here = 0 if snapshot is None else len(snapshot), int(config.data.get("dataloader_num_workers", 0))
    if there != here:
        raise ConfigError(
            f"{WORKERS}={here}: {folder} was saved with {there}, and its place in the data is read with as many; "
            f"set it to {there}",
            key=WORKERS,
            reason="other run",
        )


def _snapshot(state: dict[str, Any]) -> dict[str, Any] | None:
    """The states of worker processes by name; None where the loader had none."""
    snapshot = state.get("_snapshot") if state.keys() >= MANY else None
    found = snapshot.get("_worker_snapshots") if isinstance(snapshot, dict) else None
    return found if isinstance(found, dict) else None


def _read(folder: Path) -> Any:
    """The state; None where it holds more than plain values, which only a run that trusts the checkpoint reads.

    Raises:
        ConfigError: it is damaged.
    """
    # It imports torch: not before the environment is set.
    from verl_dots.pickles import load

    try:
        return load(folder / DATA)
    except ConfigError as error:
        if error.reason == "damaged":
            raise
        return None
