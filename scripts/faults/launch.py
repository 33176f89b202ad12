"""One start of a run, killed at its moment or left to its end."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep import arithmetic
from scripts.everything import EVERYTHING
from scripts.faults.moments import STOP, TERMINATE, Clock, Kill, Sight, complete
from scripts.faults.tree import Survivors, Tree, below, end_all, forget_ended, waits_for
from verl_dots.checkpoints import step_of

ROOT = Path(__file__).parents[2]
RECIPE = "recipes/cpu/all.sh"
POLL_SECONDS = 0.003
# All methods, a selection in each step, replay from the second on.
# A run that resumes validates first: the undisturbed one validates after each step, so that there is a row for it.
SMALL = (
    *EVERYTHING, "dots.selection.mu=1", "dots.replay.capacity=8", "dots.temperature.warm_up=2",
    "trainer.test_freq=1", "trainer.save_freq=1", "trainer.max_actor_ckpt_to_keep=2",
)  # fmt: skip
QUESTIONS = ("--train", "48", "--val", "8")
GRACE_SECONDS = 8.0  # of SLURM between SIGTERM and SIGKILL, at most
NO_CAUSE = "UnserializableException"  # Ray's word for an error that it could not bring here
STALLED = 4
ROLLS_OUT = ("engine", "agent loop")  # what has been learnt is in other processes, and is saved
BY_ITSELF = ("command", "node", TERMINATE)  # after these nobody is left to say anything


@dataclass
class Launched:
    """What became of a launch.

    Attributes:
        completed: the run has come to its end, and was not killed.
        came: the moment of its kill has come.
        held: the run still did what the moment is named after.
        step: the newest row then.
        killed: names of the processes.
        seconds: from the kill to the end of the command.
        status: of the command; None where it did not end in time.
        said: its last line.
        fault: what is wrong with how it ended, if anything.
        survivors: what lived on when the command had ended.
    """

    completed: bool = False
    came: bool = False
    held: bool = False
    step: int = 0
    killed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    status: int | None = None
    said: str = ""
    fault: str = ""
    survivors: Survivors | None = None


def prepare(folder: Path) -> None:
    """Questions of arithmetic and the tiny model."""
    if not (folder / "data").exists():
        arithmetic.main(["--out", str(folder / "data.part"), *QUESTIONS])
        (folder / "data.part").rename(folder / "data")
    if not (folder / "model").exists():
        shutil.copytree(ROOT / "recipes" / "cpu" / "tiny_model", folder / "model")


def command(folder: Path, run: Path, steps: int, overrides: Sequence[str]) -> list[str]:
    """The recipe's, small, on the data of a folder."""
    variables = {"RUN": run, "STEPS": steps, "DATA": folder / "data", "MODEL": folder / "model"}
    variables |= {"CACHE": folder / "embeddings", "DRY_RUN": 1, "SEED": 1}
    told = subprocess.run(
        ["bash", RECIPE, *SMALL, *overrides],
        cwd=ROOT, env=os.environ | {name: str(value) for name, value in variables.items()}, check=True, text=True,
        stdout=subprocess.PIPE, timeout=300,
    )  # fmt: skip
    return [sys.executable, *shlex.split(told.stdout)[1:]]


class Launch:
    """A start of a run.

    Args:
        words: the command.
        run: its folder.
        limit: seconds that it may take to end once something has died; a run that writes nothing for STALLED times
            as long is ended as one that hangs.
    """

    def __init__(self, words: Sequence[str], run: Path, limit: float):
        self.run, self.limit = run, limit
        run.mkdir(parents=True, exist_ok=True)
        self.console = run.parent / "console.log"
        self._said = self.console.stat().st_size if self.console.exists() else 0
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with self.console.open("a") as out:
            self.process = subprocess.Popen(
                words, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.began, self._started = time.monotonic(), time.time()
        self._looked, self._stalled = 0.0, False
        self.tree = Tree(self.process.pid)
        self.sight = Sight(run, self.tree)

    def run_through(self) -> tuple[Launched, float]:
        """Undisturbed; and the seconds until its first row."""
        first = 0.0
        while self._lives():
            first = first or (time.monotonic() - self.began if self.sight.rows else 0.0)
            time.sleep(0.05)
        return self._ended(Launched()), first

    def kill(self, kill: Kill, seconds: Mapping[str, float]) -> Launched:
        """Killed at its moment; undisturbed where that does not come."""
        clock, found = Clock(kill, self.sight, seconds), Launched()
        while self._lives():
            if clock.has_come():
                found.came, found.held, found.step = True, clock.holds(), self._step()
                found.killed = self._strike(kill)
                if found.killed:
                    return self._ended_after(kill, found)
                clock = Clock(kill, self.sight, seconds)  # there is no such process at this time
            time.sleep(POLL_SECONDS)
        found.came = False
        return self._ended(found)

    def _strike(self, kill: Kill) -> list[str]:
        target = kill.moment.target
        if target == STOP:
            (self.run / "stop").touch()
            return ["(the file stop)"]
        if target == TERMINATE:
            os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(kill.share * GRACE_SECONDS)
            return ["(SIGTERM)", *self.tree.kill("node")[:1]]
        return self.tree.kill(target)

    def _ended_after(self, kill: Kill, found: Launched) -> Launched:
        struck, limit = time.monotonic(), self.limit * (3 if kill.moment.target == STOP else 1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            found.status = self.process.wait(limit)
        found.seconds = time.monotonic() - struck
        if found.status is None:
            found.fault = f"it had not ended {limit:.0f} s later"
            self._keep_evidence()
            end_all(below())
            self.process.wait(self.limit)
            found.status = None
        found.said = self._last_line()
        if not found.fault and kill.moment.target == STOP and found.status == 0:
            found.completed = "complete:" in found.said
        elif not found.fault and kill.moment.target not in BY_ITSELF:
            found.fault = self._fault_of_message(found, kill.moment.target)
        found.survivors = Survivors(below(), self.limit)
        return found

    def _fault_of_message(self, found: Launched, target: str) -> str:
        if found.status == 0:
            # What died was not needed any more.
            found.completed = "complete:" in found.said
            return "" if found.completed else "it ended with status 0 and is not complete"
        text = self._new_text()
        lines = [line for line in text.splitlines() if line.startswith(("failed: ", "verl_dots: "))]
        if all(NO_CAUSE in line for line in lines):
            return f"it ended with status {found.status} and does not say why"
        return self._fault_of_rescue() if target in ROLLS_OUT else ""

    def _fault_of_rescue(self) -> str:
        """Whether a step that was trained on to its end is lost with a process that only rolled out."""
        learnt, saved = self.sight.learnt(), max(map(step_of, complete(self.run)), default=0)
        return "" if saved >= learnt else f"step {learnt} is lost: the newest checkpoint is of step {saved}"

    def _ended(self, found: Launched) -> Launched:
        if self.process.poll() is None:
            found.fault = f"it wrote nothing for {self.limit * STALLED:.0f} s"
            self._keep_evidence()
            end_all(below())
        found.status, found.said = self.process.wait(self.limit), self._last_line()
        found.completed = found.status == 0 and "complete:" in found.said
        if not found.completed and not found.fault:
            found.fault = f"undisturbed, it ended with status {found.status}"
        found.survivors = Survivors(below(), self.limit)
        return found

    def _lives(self) -> bool:
        """Whether it runs, and has written something lately."""
        if time.monotonic() - self._looked > 1.0:
            self._looked = time.monotonic()
            forget_ended(self.process.pid)
            written = [file.stat().st_mtime for file in (self.console, self.run / "train.log") if file.exists()]
            self._stalled = time.time() - max([self._started, *written]) > self.limit * STALLED
        return self.process.poll() is None and not self._stalled

    def _step(self) -> int:
        lines = (self.run / "metrics.jsonl").read_text().splitlines() if (self.run / "metrics.jsonl").exists() else []
        return int(lines[-1].split('"step": ')[1].split(",")[0]) if lines else 0

    def _new_text(self) -> str:
        with self.console.open("rb") as file:
            file.seek(self._said)
            return file.read().decode(errors="replace")

    def _last_line(self) -> str:
        lines = [line.strip() for line in self._new_text().splitlines() if line.strip()]
        told = [line for line in lines if line.startswith(("failed: ", "verl_dots: ", "complete: ", "stopped "))]
        return (told or lines or [""])[-1]

    def _keep_evidence(self) -> None:
        text = "\n".join(waits_for(below()))
        (self.run.parent / f"hang-{time.strftime('%H%M%S')}.txt").write_text(text + "\n")
