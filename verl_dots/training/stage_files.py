"""Files of a checkpoint that hold what the stages have learnt, one for each that remembers anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verl_dots.methods.hooks import Stage
from verl_dots.methods.table import METHODS
from verl_dots.state import Kind, StateError, load_state, require_equal, require_keys, save_state
from verl_dots.state_values import restoring

States = Mapping[str, tuple[Kind, Mapping[str, Any]]]  # by the name of the stage


def states_of(stages: Sequence[Stage]) -> States:
    """The state of each stage that remembers anything, which may change as the stage goes on."""
    found = ((stage, stage.state_dict()) for stage in stages)
    return {stage.name: (stage.state_kind(), state) for stage, state in found if state is not None}


def save_states(folder: Path, states: States, questions: str | None) -> None:
    """Write the state of each stage.

    Args:
        folder: of the checkpoint.
        states: of the stages of the run, see `states_of`.
        questions: fingerprint of the training questions; None where no stage knows them.
    """
    for name, (kind, state) in states.items():
        save_state(_file(folder, name), kind, {"questions": questions, "state": state})


def load_stages(folder: Path, stages: Sequence[Stage], questions: str | None) -> None:
    """Take over what `save_states` wrote; see there for the arguments.

    Raises:
        StateError: it is missing, damaged or of other questions, or of a stage that is not enabled.
    """
    remembering = {stage.name: stage for stage in stages if type(stage).state_dict is not Stage.state_dict}
    for name in dict.fromkeys(stage.name for stage in METHODS):
        if name not in remembering and _file(folder, name).exists():
            raise StateError(
                f"{folder} is of a run with dots.{name}.enable=True, this one has False; resume with the run's own "
                "settings, or begin anew in another folder (trainer.default_local_dir, trainer.resume_mode=disable)",
                key=f"dots.{name}.enable",
                reason="other run",
            )
    states = {name: load_state(_file(folder, name), stage.state_kind()) for name, stage in remembering.items()}
    for name, state in states.items():
        require_keys(str(_file(folder, name)), state, {"questions", "state"})
        require_equal("fingerprint of the training questions", state["questions"], questions)
    for name, state in states.items():
        with restoring(_file(folder, name), name):
            remembering[name].load_state_dict(state["state"])


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"
