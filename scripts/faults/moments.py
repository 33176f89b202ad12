"""When a run is killed, and which of its processes.

A moment begins when what it names is seen from outside, by files and by the names of processes, and a random part of
the time that this took in the undisturbed run has passed since. No code of the run knows of it.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.faults.tree import Tree
from verl_dots.manifest import MANIFEST
from verl_dots.training.run_folder import TOKENS

TICK = 0.01  # seconds by which the time of a file may be behind the clock
LOOK_SECONDS = 0.004  # in which a thread that works computes for half of the time or more
STOP, TERMINATE = "requeue", "preemption"  # of SLURM: a file `stop`; SIGTERM, and SIGKILL to all soon after


@dataclass(frozen=True)
class Moment:
    """A kind of kill.

    Attributes:
        target: what dies: a role of `tree`, or one of the two signals of SLURM.
        during: what the run is doing then, a name of WHEN.
    """

    target: str
    during: str


MOMENTS = tuple(
    Moment(target, during)
    for target, all_during in (
        ("node", ("start", "step", "selection", "generation", "replay", "update", "model write", "save", "resume")),
        ("driver", ("start", "step", "save")),
        ("command", ("step", "save")),
        ("task runner", ("step", "replay", "save")),
        ("worker", ("update", "model write", "start")),
        ("engine", ("generation", "update")),
        ("agent loop", ("generation", "step")),
        ("difficulty worker", ("selection", "step")),
        ("queue", ("generation", "step", "save")),
        ("storage", ("generation", "replay", "save")),
        ("raylet", ("step",)),
        (STOP, ("step", "generation")),
        (TERMINATE, ("step", "save")),
    )
    for during in all_during
)


@dataclass(frozen=True)
class Kill:
    """One that is planned.

    Attributes:
        number: from 1.
        moment: which.
        share: of the time that what it waits for takes, in [0, 1).
        steps: rows that the launch writes before.
        pause: seconds between the end of the command and its next start, in [0, 1).
    """

    number: int
    moment: Moment
    share: float
    steps: int
    pause: float


def planned(seed: int, number: int) -> Kill:
    """The kill of a number: each moment once in as many kills as there are moments, in random order."""
    round_, place = divmod(number - 1, len(MOMENTS))
    order = np.random.default_rng([seed, 0, round_]).permutation(len(MOMENTS))
    share, pause, steps = np.random.default_rng([seed, 1, number]).random(3)
    return Kill(number, MOMENTS[order[place]], float(share), int(steps < 0.3), float(pause))


def complete(run: Path) -> list[Path]:
    """Checkpoints of a run folder whose last file is there."""
    return [folder for folder in run.glob("global_step_*") if (folder / MANIFEST).exists()]


class Sight:
    """What is seen of a launch.

    Args:
        run: its folder.
        tree: its processes.
    """

    def __init__(self, run: Path, tree: Tree):
        self.run, self.tree = run, tree
        self.began = time.monotonic()
        self._launched = time.time() - TICK
        self._metrics = run / "metrics.jsonl"
        self._rows_before = self._lines()
        self._saved = {folder.name for folder in complete(run)}
        self._generated = False
        self._computed: tuple[float, float] | None = None  # when its main thread had computed for how many seconds

    def _lines(self) -> int:
        return self._metrics.read_bytes().count(b"\n") if self._metrics.exists() else 0

    @property
    def rows(self) -> int:
        """Rows that the launch has written."""
        return self._lines() - self._rows_before

    def learnt(self) -> int:
        """Newest step that the launch has trained on to its end, by its rows; 0 before the first."""
        lines = self._metrics.read_text().splitlines()[self._rows_before :] if self._metrics.exists() else []
        return max((row["step"] for row in map(json.loads, lines) if TOKENS in row), default=0)

    def trains(self) -> bool:
        """Whether its engine has generated yet."""
        self._generated = self._generated or self.generates()
        return self._generated

    def generates(self) -> bool:
        return "generate" in self.tree.does("engine")

    def updates(self) -> bool:
        return "update_actor" in self.tree.does("worker")

    def selects(self) -> bool:
        """Whether a prediction is made. It may take 10 ms, in which the name of its process is not always seen."""
        if not self.trains():
            return False
        now, seconds = time.monotonic(), self.tree.computed("difficulty worker")
        then, before = self._computed or (now, seconds)
        if self._computed is None or now - then >= LOOK_SECONDS:
            self._computed = now, seconds
        named = "ray::DifficultyWorker." in self.tree.does("difficulty worker")
        return named or (before > 0 and seconds - before > max(LOOK_SECONDS, now - then) / 2)

    def replays(self) -> bool:
        """Between the step's rollouts and its update the task runner works alone."""
        return self.trains() and not self.generates() and self.tree.does("worker").strip() == "ray::WorkerDict"

    def _written(self, paths: Iterable[Path]) -> bool:
        """Whether one of these is of this launch: what is half there may be of an earlier one that was killed."""
        with contextlib.suppress(FileNotFoundError):  # renamed or removed meanwhile
            return any(path.stat().st_ctime >= self._launched for path in paths)
        return False

    def _unfinished(self) -> list[Path]:
        new = [folder for folder in self.run.glob("global_step_*") if folder.name not in self._saved]
        return [folder for folder in new if not (folder / MANIFEST).exists()]

    def saves(self) -> bool:
        return any(self._written([folder, *folder.glob("*")]) for folder in self._unfinished())

    def writes_model(self) -> bool:
        return any(self._written((folder / "actor").glob("*.pt")) for folder in self._unfinished())

    def resumes(self) -> bool:
        """It has a trainer and reads a checkpoint, or begins."""
        return bool(self.tree.pids("engine")) and not self.trains()


# What begins a moment, and the time of the undisturbed run that it takes (a name of `seconds_of`).
WHEN: Mapping[str, tuple[Callable[[Sight], bool], str]] = {
    "start": (lambda sight: True, "start"),
    "resume": (Sight.resumes, "resume"),
    "step": (Sight.trains, "step"),
    "generation": (Sight.generates, "gen"),
    "selection": (Sight.selects, "predict_difficulty"),
    "replay": (Sight.replays, "adv"),
    "update": (Sight.updates, "update_actor"),
    "model write": (Sight.writes_model, "write"),
    "save": (Sight.saves, "save_checkpoint"),
}
FROM_THE_BEGINNING = ("start", "resume")  # no rows are waited for


def seconds_of(run: Path, start: float) -> dict[str, float]:
    """Means of the parts of a step in an undisturbed run whose first row came after `start` seconds."""
    found: dict[str, list[float]] = {}
    for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        for name, value in row.items():
            if name.startswith("timing_s/"):
                found.setdefault(name.removeprefix("timing_s/"), []).append(value)
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    return mean | {"start": start, "resume": start / 4, "write": mean["save_checkpoint"] / 4}


class Clock:
    """Says when the moment of a kill has come in a launch."""

    def __init__(self, kill: Kill, sight: Sight, seconds: Mapping[str, float]):
        self.kill, self.sight = kill, sight
        self._begins, part = WHEN[kill.moment.during]
        self._wait = kill.share * seconds.get(part, 0.0)
        self._since: float | None = None

    def has_come(self) -> bool:
        """Whether it has; to be asked every few milliseconds."""
        if self._since is None:
            early = self.kill.moment.during in FROM_THE_BEGINNING
            if (early or self.sight.rows >= self.kill.steps) and self._begins(self.sight):
                self._since = time.monotonic()
        return self._since is not None and time.monotonic() - self._since >= self._wait

    def holds(self) -> bool:
        """Whether the run still does what the moment is named after."""
        return self._begins(self.sight)
