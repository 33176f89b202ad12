"""Carry a plan out: make what is missing, run what is not finished, and go on where a run fails.

There is no state but the run folders. What is finished is skipped, what was cut resumes from its own checkpoints. A
round of timing runs that was cut is made again whole, where what there is of it is of another commit or sitting. A
timing run never resumes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.reproduce import folders, plan, rounds
from scripts.reproduce.matrix import Input, Matrix, MatrixError
from scripts.reproduce.plan import Planned
from verl_dots.evidence.records import TIMING_RUN
from verl_dots.guard import die_with_parent

POLL_SECONDS = 0.5
STOP_SECONDS = 3600.0  # that a run has for its step and its checkpoint
STOP_FILE, LOG_FILE, EVALUATION_LOG = "stop", "output.log", "evaluation.log"


class Stopped(Exception):
    """The file `stop` is there: what ran has been asked to save and to end."""


@dataclass
class Campaign:
    """Runs of a plan.

    Attributes:
        root: of the checkout, where commands run.
        folder: of the runs; a file `stop` in it ends the campaign once the runs have saved.
        jobs: accuracy runs at once.
        keep_checkpoints: of finished runs; else they are removed.
        failed: run or input -> why.
    """

    root: Path
    folder: Path
    console: Console
    jobs: int = 1
    keep_checkpoints: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    _evaluating: set[Planned] = field(default_factory=set)
    _started: set[Planned] = field(default_factory=set)

    @property
    def stop_file(self) -> Path:
        """Whose presence ends the campaign."""
        return self.root / self.folder / STOP_FILE

    def make_inputs(self, inputs: Sequence[Input]) -> None:
        """Make the folders that are not there, in order; one that fails is named, and runs that need it will be, too.

        Raises:
            Stopped: see there.
        """
        for one in inputs:
            place, partial = self.root / one.path, self.root / f"{one.path}.making"
            if place.exists():
                continue
            if lacking := [name for name in one.needs if not (self.root / name).exists()]:
                self._fail(one.path, f"it needs {', '.join(lacking)}, which is not there")
                continue
            self.console.print(f"Making {one.path} ...")
            partial.parent.mkdir(parents=True, exist_ok=True)
            log = self.root / self.folder / f"{one.path.replace('/', '-')}.log"
            for command in one.make:
                words = ["bash", "-euo", "pipefail", "-c", command]
                status = self._attend(self._start(words, {"OUT": str(partial)}, log))
                if status:
                    self._fail(one.path, f"status {status} of {command!r}: {_end_of(log)}")
                    break
            else:
                partial.rename(place)

    def carry_out(self, runs: Sequence[Planned]) -> None:
        """Make all runs that are not finished; timing runs one at a time, after the others.

        Raises:
            Stopped: see there.
        """
        for kind in dict.fromkeys(run.kind for run in runs):
            of_kind = [run for run in runs if run.kind == kind]
            self._carry_out(
                of_kind, 1 if kind == TIMING_RUN else self.jobs, [run for run in runs if run not in of_kind]
            )

    def _carry_out(self, runs: Sequence[Planned], jobs: int, others: Sequence[Planned]) -> None:
        waiting = deque(run for run in runs if self._wanted(run))
        active: dict[Planned, subprocess.Popen] = {}
        with _progress(self.console) as bar:
            task = bar.add_task(runs[0].kind, total=len(runs), completed=len(runs) - len(waiting), left="")
            while waiting or active:
                if stopping := self.stop_file.exists():
                    self._ask_to_stop(active)
                while waiting and len(active) < jobs and not stopping:
                    run = waiting.popleft()
                    waiting.extendleft(self._begun_again(run, runs))
                    active[run] = self._start_run(run)
                for run in [run for run, process in active.items() if process.poll() is not None]:
                    status = active.pop(run).returncode
                    if self._is_evaluated_next(run, status, stopping):
                        active[run] = self._start_run(run)
                        continue
                    rest = [*waiting, *active, *(run for run in others if not plan.finished(self.root / run.folder))]
                    left, there = self._left(rest, [*runs, *others]), len(runs) - len(waiting) - len(active)
                    bar.update(task, completed=there, left=left)
                    self._ended(run, status, stopping, f"{there} of {len(runs)}{left and ', '}{left}")
                bar.refresh()
                if stopping and not active:
                    raise Stopped
                time.sleep(POLL_SECONDS if active else 0)

    def _wanted(self, run: Planned) -> bool:
        """Whether a run is to be made. One of other settings is not, and counts as failed."""
        if (difference := plan.of_other_settings(run, self.root / run.folder)) is not None:
            self._fail(str(run), f"{run.folder} is of another run: {difference}; remove it to run it again")
            return False
        folder = self.root / run.folder
        return not plan.finished(folder) or plan.to_evaluate(run, folder)

    def _begun_again(self, run: Planned, runs: Sequence[Planned]) -> list[Planned]:
        """Runs of a cut round that are made again with what is left of it. Their folders are set aside, as is a part of
        this run: what was stopped after some steps would resume at another time."""
        if run.kind != TIMING_RUN:
            return []
        found = rounds.of_another_sitting(run, runs, self.root, time.time())
        again = [one for one in found if one not in self._started and str(one) not in self.failed]
        part = run not in self._started and (self.root / run.folder).is_dir()
        for one in [*([run] if part else []), *again]:
            place = folders.set_aside(one.folder, self.root, self.folder)
            self.console.print(f"{one}: made again, as a round is of one sitting; what there was is in {place}")
        return again

    def _is_evaluated_next(self, run: Planned, status: int, stopping: bool) -> bool:
        """Whether what has ended was the training of a run that is to be evaluated, too."""
        ended_well = not (status or stopping or run in self._evaluating)
        return ended_well and plan.to_evaluate(run, self.root / run.folder)

    def _start_run(self, run: Planned) -> subprocess.Popen:
        """Its training or, where that is finished, its evaluation."""
        folder = self.root / run.folder
        self._started.add(run)
        if plan.finished(folder):
            self._evaluating.add(run)
            return self._start(list(run.evaluation), {}, folder / EVALUATION_LOG)
        (folder / STOP_FILE).unlink(missing_ok=True)
        plan.record_command(run, folder)
        return self._start(list(run.command), {**run.variables, "RUN": str(run.folder)}, folder / LOG_FILE)

    def _ended(self, run: Planned, status: int, stopping: bool, told: str) -> None:
        folder, evaluated = self.root / run.folder, run in self._evaluating
        if plan.finished(folder) and not (evaluated and status):
            if not self.keep_checkpoints:
                folders.remove_checkpoints(folder)
            taken = plan.seconds_taken(folder)
            self.console.print(f"{run}: done" + (f" in {taken:.0f} s" if taken else "") + f" ({told})")
        elif stopping:
            self.console.print(f"{run}: stopped")
        else:
            log = EVALUATION_LOG if evaluated else LOG_FILE
            self._fail(str(run), f"status {status}: {_end_of(folder / log)} ({run.folder / log})")

    def _ask_to_stop(self, active: Mapping[Planned, subprocess.Popen]) -> None:
        for run, process in active.items():
            if run in self._evaluating:  # which resumes, whatever ended it
                process.terminate()
            else:
                (self.root / run.folder / STOP_FILE).touch()

    def _left(self, rest: Sequence[Planned], runs: Sequence[Planned]) -> str:
        times = {run: plan.seconds_taken(self.root / run.folder) for run in runs}
        known = [(run, seconds) for run, seconds in times.items() if seconds is not None]
        seconds = plan.seconds_left(rest, known, self.jobs)
        return "" if seconds is None else f"about {duration(seconds)} left"

    def _start(self, words: list[str], variables: Mapping[str, str], log: Path) -> subprocess.Popen:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            return subprocess.Popen(
                words, cwd=self.root, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
            )  # fmt: skip

    def _attend(self, process: subprocess.Popen) -> int:
        while process.poll() is None:
            if self.stop_file.exists():
                process.terminate()
                process.wait(STOP_SECONDS)
                raise Stopped
            time.sleep(POLL_SECONDS)
        return process.returncode

    def _fail(self, what: str, why: str) -> None:
        self.failed[what] = why
        self.console.print(f"{what}: FAILED, {why}")


def needed_inputs(matrix: Matrix) -> list[Input]:
    """Inputs of the combinations, each after those that it needs.

    Raises:
        MatrixError: inputs need each other in a circle.
    """
    ordered: dict[str, Input] = {}

    def add(path: str, above: tuple[str, ...]) -> None:
        if path in above:
            raise MatrixError(f"{' needs '.join([*above, path])}: a circle", key=path, reason="excluded")
        if path in matrix.inputs and path not in ordered:
            for needed in matrix.inputs[path].needs:
                add(needed, (*above, path))
            ordered[path] = matrix.inputs[path]

    for combination in matrix.combinations.values():
        for path in (combination.model, combination.data):
            add(path, ())
    return list(ordered.values())


def duration(seconds: float) -> str:
    """In hours and minutes."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _end_of(log: Path) -> str:
    """The last line that a command wrote."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it wrote nothing"


def _progress(console: Console) -> Progress:
    """Refreshed by hand: no thread of it is there when runs are forked."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"), console=console, auto_refresh=False, transient=True,
    )  # fmt: skip
