"""What a checkpoint says about its run: the settings, what they stood for, the totals and the step's own row.

global_step_60/config.yaml   the resolved settings, as they were given
global_step_60/run.state     totals, figures of the step, fingerprints and failed rollouts; written whole, read strictly
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from verl_dots.checkpoints import RECORD
from verl_dots.config import DotsConfig
from verl_dots.files import write_atomically
from verl_dots.settings import with_new_names
from verl_dots.state import Kind, StateError, load_state, require_equal, save_state
from verl_dots.state_values import COUNT, Values, Within
from verl_dots.training.fingerprints import MODELS

CONFIG = "config.yaml"
SECONDS = ("wall_seconds", "train_seconds")
# The last is None where the run was begun by a version that did not count it.
TOTALS = (*SECONDS, "generated_tokens", "generated_rollouts")


def _with_rollouts(state: dict[str, Any]) -> dict[str, Any]:
    """Of version 2; version 1 did not always count the rollouts."""
    totals = state.get("totals")
    return state | {"totals": {"generated_rollouts": None} | totals} if isinstance(totals, dict) else state


def _with_failed(state: dict[str, Any]) -> dict[str, Any]:
    """Of version 3; version 2 did not keep them."""
    return {"failed": {"steps": [], "rollouts": [], "first": None}} | state


def _without_models(state: dict[str, Any]) -> dict[str, Any]:
    """Of version 4; version 3 knew a model by what the hub's cache had of it, and left out some of its files."""
    told = state.get("fingerprints")
    known = isinstance(told, dict)
    return state | {"fingerprints": told | dict.fromkeys(told.keys() & MODELS.keys())} if known else state


KIND = Kind("run", 4, {1: _with_rollouts, 2: _with_failed, 3: _without_models})


@dataclass(frozen=True)
class Failed:
    """Rollouts that failed in the last steps.

    Attributes:
        by_step: step -> how many, in ascending order, without steps in which none failed.
        first: cause of the first of them; None where none has failed.
    """

    by_step: dict[int, int] = field(default_factory=dict)
    first: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """The run at a checkpoint.

    Attributes:
        step: of the checkpoint.
        totals: of `TOTALS`, with this step's.
        row: what is known of the step's figures when it is saved; the validation of the step comes later.
        fingerprints: see `fingerprints.fingerprints`.
        failed: of this step and those before it.
    """

    step: int
    totals: dict[str, float | None]
    row: dict[str, float | None]
    fingerprints: dict[str, str | None]
    failed: Failed = field(default_factory=Failed)


def save_record(folder: Path, record: RunRecord, settings: dict[str, Any]) -> None:
    """Write both files into a checkpoint."""
    text = OmegaConf.to_yaml(OmegaConf.create(settings))
    write_atomically(folder / CONFIG, lambda partial: partial.write_text(text))
    state = asdict(record)
    # Names of metrics hold "/", which no key of a state does.
    state["row"] = [[name, value] for name, value in record.row.items()]
    steps, rollouts = list(record.failed.by_step), list(record.failed.by_step.values())
    state["failed"] = {"steps": steps, "rollouts": rollouts, "first": record.failed.first}
    save_state(folder / RECORD, KIND, state)


def load_record(folder: Path) -> RunRecord | None:
    """What `save_record` wrote; None for a checkpoint that has none, of stock verl or of an earlier version.

    Raises:
        StateError: it is damaged, or of another step.
    """
    file = folder / RECORD
    if not file.is_file():
        return None
    state = load_state(file, KIND)
    saved = Values(str(file), state, {"step", "totals", "row", "fingerprints", "failed"})
    counted = Values(f"{file}: totals", saved.raw("totals"), set(TOTALS))
    require_equal(f"{file}: step", f"global_step_{saved.whole('step')}", folder.resolve().name)
    totals = {name: counted.number(name, COUNT) if counted.given(name) else None for name in TOTALS}
    row, fingerprints = saved.raw("row"), saved.raw("fingerprints")
    if not isinstance(row, list) or not all(_is_figure(pair) for pair in row):
        raise saved.wrong("row", "pairs of a name and a number, or none")
    if not isinstance(fingerprints, dict) or not all(isinstance(one, str | None) for one in fingerprints.values()):
        raise saved.wrong("fingerprints", "texts by their names")
    failed = _failed(f"{file}: failed", saved.raw("failed"), state["step"])
    return RunRecord(state["step"], totals, dict(map(tuple, row)), fingerprints, failed)


def _failed(what: str, state: Any, step: int) -> Failed:
    saved = Values(what, state, {"steps", "rollouts", "first"})
    steps, rollouts = saved.wholes("steps", Within(0, step)), saved.wholes("rollouts", Within(1))
    if steps != sorted(set(steps)):
        raise saved.wrong("steps", "steps in ascending order")
    if len(rollouts) != len(steps):
        raise saved.wrong("rollouts", f"{len(steps)} whole numbers, one a step")
    return Failed(dict(zip(steps, rollouts, strict=True)), saved.text("first") if saved.given("first") else None)


def _is_figure(pair: Any) -> bool:
    return isinstance(pair, list) and list(map(type, pair)) in ([str, int], [str, float], [str, type(None)])


def saved_settings(checkpoint: Path) -> dict[str, Any] | None:
    """The settings that a checkpoint was saved with; those of its run folder stand in for a checkpoint without.

    Settings of an earlier version have their names of now.

    Raises:
        StateError: the file cannot be read.
    """
    for file in (checkpoint / CONFIG, checkpoint.parent / CONFIG):
        if file.is_file():
            try:
                found = OmegaConf.to_container(OmegaConf.load(file))
            except (OSError, ValueError, RecursionError, YAMLError, OmegaConfBaseException) as error:
                text = f"{file} is damaged ({type(error).__name__})"
                raise StateError(text, key=str(file), reason="damaged") from error
            if not isinstance(found, dict) or "trainer" not in found:
                text = f"{file} is damaged (it holds no settings of a run)"
                raise StateError(text, key=str(file), reason="damaged")
            if isinstance(found.get("dots"), dict):
                found["dots"] = with_new_names(DotsConfig, found["dots"])
            return found
    return None
