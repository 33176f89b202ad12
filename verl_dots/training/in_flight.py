"""Groups that an asynchronous trainer has asked for and not trained on yet: what it must know of each until then."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from verl_dots.methods.refusals import ASYNCHRONOUS, keeps_going
from verl_dots.settings import LARGEST, ConfigError
from verl_dots.state import Kind, StateError, load_state
from verl_dots.state_values import ANY, COUNT, POSITIVE, Values, Within


def _with_uniform(state: dict[str, Any]) -> dict[str, Any]:
    """Of version 2; version 1 did not always know which questions were drawn uniformly."""
    uids = state.get("uids")
    return {"uniform": np.zeros(len(uids), dtype=bool)} | state if isinstance(uids, list) else state


def _with_predicted(state: dict[str, Any]) -> dict[str, Any]:
    """Of version 3; version 2 had forgotten what was predicted of the questions."""
    uids = state.get("uids")
    return {"predicted": np.full(len(uids), np.nan)} | state if isinstance(uids, list) else state


QUEUE = "transfer_queue"  # what verl saves of its queue in an asynchronous mode
FILE, KIND = "in_flight.safetensors", Kind("groups in flight", 3, {1: _with_uniform, 2: _with_predicted})
COLUMNS = {
    "question": np.int64, "size": np.int64, "temperature": np.float64, "step": np.int64, "uniform": np.bool_,
    "predicted": np.float64,
}  # fmt: skip
WITHIN = {
    "size": Within(1), "temperature": POSITIVE, "step": COUNT, "uniform": ANY,
    "predicted": Within(0, 1, nan=True),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A group as it was asked for.

    Attributes:
        question: its number, where the run knows it; else -1.
        size: rollouts.
        temperature: that they are sampled at, however long they take.
        step: that asked for them.
        uniform: whether the question was drawn uniformly, whatever the target of that step.
        predicted: difficulty that the source predicted then; None where it did not.
    """

    question: int
    size: int
    temperature: float
    step: int
    uniform: bool = False
    predicted: float | None = None


class InFlight:
    """Such groups by uid, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def __iter__(self) -> Iterator[str]:
        return iter(self._asked)

    def __contains__(self, uid: str) -> bool:
        return uid in self._asked

    @property
    def questions(self) -> set[int]:
        """Numbers of their questions."""
        return {asked.question for asked in self._asked.values()}

    def add(self, uid: str, asked: Asked) -> None:
        """Remember a group.

        Raises:
            ValueError: there is one of that name.
        """
        if uid in self._asked:
            raise ValueError(f"a group {uid} is in flight already; every group of a run has a name of its own")
        self._asked[uid] = asked

    def asked_after(self, step: int) -> list[str]:
        """Those that a later step has asked for."""
        return [uid for uid, asked in self._asked.items() if asked.step > step]

    def take(self, uids: Iterable[str]) -> dict[str, Asked]:
        """What is known of some groups, which are forgotten here. Raises KeyError for one that is not in flight."""
        return {uid: self._asked.pop(uid) for uid in uids}

    def state_dict(self) -> dict[str, Any]:
        asked = self._asked.values()
        columns = {name: np.array([getattr(one, name) for one in asked], kind) for name, kind in COLUMNS.items()}
        return {"uids": list(self._asked), **columns}

    def load_state_dict(self, state: Mapping[str, Any], questions: int = LARGEST) -> None:
        """Take over such a state.

        Args:
            questions: how many the run knows.

        Raises:
            StateError: it holds what no run can have saved, or a question that the run does not know.
        """
        saved = Values(KIND.name, state, {"uids", *COLUMNS})
        uids = saved.texts("uids")
        if len(set(uids)) < len(uids):
            raise saved.wrong("uids", "names that differ")
        within = WITHIN | {"question": Within(-1, questions - 1)}
        columns = {name: saved.array(name, COLUMNS[name], (len(uids),), within[name]).tolist() for name in COLUMNS}
        columns["predicted"] = [None if math.isnan(known) else known for known in columns["predicted"]]
        rows = zip(*(columns[name] for name in COLUMNS), strict=True)
        self._asked = {uid: Asked(*row) for uid, row in zip(uids, rows, strict=True)}

    def require_there(self, uids: set[str], what: str) -> None:
        """Raise StateError unless exactly these groups are in flight; `what` holds them."""
        if uids != set(self._asked):
            lost, unknown = sorted(set(self._asked) - uids)[:3], sorted(uids - set(self._asked))[:3]
            raise StateError(
                f"{what} lacks groups that are in flight ({lost}) or has unknown ones ({unknown}); resume from an "
                "earlier checkpoint",
                key="transfer_queue",
                reason="damaged",
            )


def load_in_flight(checkpoint: Path) -> dict[str, Any] | None:
    """State of the groups that a checkpoint has in flight; None for one of a synchronous run.

    Raises:
        StateError: it is damaged, or of a later version.
    """
    return load_state(checkpoint / FILE, KIND) if (checkpoint / FILE).exists() else None


def require_same_mode(checkpoint: Path, config: DictConfig) -> None:
    """Raise ConfigError for a run that would lose the groups that a checkpoint has in flight, or cannot know them."""
    key, known, there = "trainer.v1.trainer_mode", (checkpoint / FILE).exists(), (checkpoint / QUEUE).exists()
    given = f"{key}={config.trainer.v1.trainer_mode}"
    anew = "begin anew in another folder (trainer.default_local_dir) or with trainer.resume_mode=disable"
    if there and not known:
        text = f"{checkpoint} is of an asynchronous run of stock verl, which saves no question of a group in flight"
        raise ConfigError(f"{text}; {given} cannot train on these; {anew}", key=key, reason="other run")
    if known and not keeps_going(config):
        text = f"{checkpoint} has groups in flight, and {given} would lose them"
        resume = f"resume with {key}={' or '.join(ASYNCHRONOUS)}"
        raise ConfigError(f"{text}; {resume}, or {anew}", key=key, reason="other run")
