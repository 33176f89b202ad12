"""Files of a checkpoint that hold what the stages have learnt, one for each that is enabled."""

from collections.abc import Mapping
from pathlib import Path

from verl_dots.config import DotsConfig
from verl_dots.state import StateError, Stateful, load_state, require_equal, require_keys, save_state

# In the order in which they are read: AdaRFT's target sets what selection aims at.
NAMES = ("selection", "adarft", "budget", "temperature", "length_penalty", "preemptive", "replay")


def stage_names(dots: DotsConfig, batch_size: int) -> tuple[str, ...]:
    """Names of the stages that a run with these settings keeps the state of, of `NAMES`."""
    enabled = {name: getattr(dots, name).enable for name in NAMES}
    enabled["preemptive"] = dots.preemptive.off_policy(batch_size)
    return tuple(name for name in NAMES if enabled[name])


def save_stages(folder: Path, stages: Mapping[str, Stateful], questions: str | None) -> None:
    """Write the state of each enabled stage.

    Args:
        folder: of the checkpoint.
        stages: by name, of `NAMES`.
        questions: fingerprint of the training questions; None where no stage knows them.
    """
    for name, stage in stages.items():
        save_state(_file(folder, name), name, {"questions": questions, "state": stage.state_dict()})


def load_stages(folder: Path, stages: Mapping[str, Stateful], questions: str | None) -> None:
    """Take over what `save_stages` wrote; see there for the arguments.

    Raises:
        StateError: it is missing, damaged or of other questions, or of a stage that is not enabled.
    """
    for name in NAMES:
        if name not in stages and _file(folder, name).exists():
            raise StateError(
                f"{folder} is of a run with dots.{name}.enable=True, this one has False; resume with the run's own "
                "settings, or begin anew in another folder (trainer.default_local_dir, trainer.resume_mode=disable)"
            )
    states = {name: load_state(_file(folder, name), name) for name in NAMES if name in stages}
    for name, state in states.items():
        require_keys(str(_file(folder, name)), state, {"questions", "state"})
        require_equal("fingerprint of the training questions", state["questions"], questions)
    for name, state in states.items():
        stages[name].load_state_dict(state["state"])


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"
