"""The console of a training run, from before Ray starts to its end."""

import contextlib
import shlex
import sys
import threading
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import psutil
import yaml

from verl_dots.console.errors import ErrorTally, first_cause
from verl_dots.console.lines import seconds_left, step_line
from verl_dots.console.progress import Progress
from verl_dots.console.redirect import Redirect
from verl_dots.console.rows import NewRows
from verl_dots.files import parse_json
from verl_dots.guard import tell
from verl_dots.secrets import hidden_word
from verl_dots.texts import duration

LOG_FILE, STOP_FILE = "train.log", "stop"
POLL_SECONDS = 0.5


class RunConsole:
    """Shows the run that is trained between __enter__ and __exit__.

    With `lines`, all output of its processes goes to LOG_FILE in the run folder. Shown are the start screen, the
    progress of a long start, a line a step, each error once, and how it ended. Otherwise all output is shown, and
    nothing in its place.

    Args:
        folder: the run's; made if missing.
        start: the start screen.
        lines: see above.
        validates_first: whether a row of validation comes before training begins.
        resumes: whether the same command, given again, takes up the run; else it begins where this run did.
        said: output from before, which belongs to the rest.
    """

    def __init__(
        self, folder: Path, start: Sequence[str], *, lines: bool, validates_first: bool, resumes: bool, said: str = ""
    ):
        self.folder, self.start, self.lines, self.said = folder, start, lines, said
        self.validates_first, self.resumes = validates_first, resumes
        self.log = folder / LOG_FILE
        self.redirect = Redirect(self.log)
        self.errors, self.progress = ErrorTally(), Progress()
        self.first: dict[str, Any] | None = None
        self.last: dict[str, Any] | None = None
        self.steps: int | None = None
        self._began = False  # whether SIGTERM asks the trainer to save
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="console", daemon=True)

    def __enter__(self) -> "RunConsole":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rows, self._run_file = NewRows(self.folder / "metrics.jsonl"), self._stamp("run.json")
        self._read = self.log.stat().st_size if self.log.exists() else 0
        stale = self._stale_stop()
        # Before the redirect, after which a traceback is in the log alone.
        tell(resumes=self.how_to_resume(), stop_file="", complete=False)
        if self.lines:
            self.redirect.__enter__()
            _write(sys.stdout, f"=== {datetime.now():%F %T} {shlex.join(map(hidden_word, sys.argv))}\n")
            self.show(*self.start)
        self.show(*stale)
        _write(sys.stdout, self.said)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(10 * POLL_SECONDS)  # it reads files, whose disk may hang
        try:
            self._look()
        finally:  # whatever the disk does, the user is told how the run ended
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """Show how the run ended; from here on all output is shown."""
        failed = self.lines and isinstance(error, Exception)
        try:
            if failed:
                _write(sys.stderr, "".join(traceback.format_exception(error)))
            (lines := self.ending(error)) and self.show(*lines)
        finally:
            if self.lines:
                self.redirect.__exit__()
        if failed:
            sys.exit(1)  # the console has told why

    def _stale_stop(self) -> list[str]:
        """Take away the request to stop of a run that died before it could; this one would end after a step. A line.

        One that came since this command began is meant for it.
        """
        try:
            if (self.folder / STOP_FILE).stat().st_mtime >= psutil.Process().create_time():
                return []
            (self.folder / STOP_FILE).unlink()
        except FileNotFoundError:
            return []
        return [f"removed {self.folder / STOP_FILE}: it asked an earlier run to stop, and that run has ended"]

    def show(self, *lines: str) -> None:
        """Write to the user.

        Not by rich: where nobody reads any more, that ends the process, and what descriptor 1 writes is lost.
        """
        with contextlib.suppress(OSError):  # nobody reads, or there is no room; the log has it all
            self.redirect.console.writelines(f"{line}\n" for line in lines)
            self.redirect.console.flush()

    def how_to_resume(self) -> str:
        """What the same command does after the run has been ended."""
        tracker = self.folder / "latest_checkpointed_iteration.txt"
        again = "starts from the beginning" if self.resumes else "begins where this one did"
        if not tracker.exists():
            return f"nothing was saved yet: the same command {again}"
        place = f"from step {tracker.read_text(errors='replace').strip()} in {self.folder}"
        if self.resumes:
            return f"the same command resumes {place}"
        return f"to resume {place} leave out trainer.resume_mode and trainer.resume_from_path; the same command {again}"

    def ending(self, error: BaseException | None) -> list[str]:
        """The last lines."""
        lines = [f"  {line}" for line in self.errors.summary()] if self.lines else []
        if isinstance(error, Exception):
            told = [f"failed: {first_cause(error)}", f"full log: {self.log}", self.how_to_resume()]
            return [*lines, *told] if self.lines else []
        if error is not None:
            return lines
        step = self.last["step"] if self.last else 0
        done = f"step {step}{f' of {self.steps}' if self.steps else ''}"
        if self.finished():
            tell(complete=True)
            with contextlib.suppress(OSError):  # the next start takes it away
                (self.folder / STOP_FILE).unlink(missing_ok=True)  # it came in the last step
            took = f" after {duration(self.last['wall_seconds'])}" if self.last else ""
            return [*lines, f"complete: {done}{took}; {self.folder / 'metrics.jsonl'}"]
        return [*lines, f"stopped after {done}, as asked; {self.how_to_resume()}"]

    def finished(self) -> bool:
        """Whether the run folder says that the run came to its end."""
        try:
            return bool(parse_json((self.folder / "run.json").read_text())["finished"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    # --- while it trains -------------------------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        """Show what is new."""
        rows = self.rows.read()
        for row in rows:
            self._step(row)
        if not self._began and self._stamp("run.json") != self._run_file and (self.last or not self.validates_first):
            self._began = True
            tell(stop_file=str(self.folder / STOP_FILE))
        if any("timing_s/save_checkpoint" in row for row in rows):
            tell(resumes=self.how_to_resume())
        if self.lines:
            with self.log.open("rb") as file:
                file.seek(self._read)
                text = file.read()
            self._read += len(text)
            told = text.decode(errors="replace")
            for line in self.progress.feed(told):
                self.show(f"  {line}")
            for line in self.errors.feed(told):
                self.show(f"  error in the log: {line}")

    def _step(self, row: dict[str, Any]) -> None:
        if self.first is None:
            self.first, self.steps = row, self._steps()
        self.last = row
        if self.lines:
            self.show(step_line(row, self.steps, seconds_left(self.first, row, self.steps)))

    def _steps(self) -> int | None:
        """Steps of the whole run, as the trainer has computed them."""
        config = yaml.safe_load((self.folder / "config.yaml").read_text())
        return config["trainer"]["total_training_steps"] or config["actor_rollout_ref"]["actor"]["optim"].get(
            "total_training_steps"
        )

    def _stamp(self, name: str) -> int:
        """When a file of the run folder was written; 0 if it is not there."""
        file = self.folder / name
        return file.stat().st_mtime_ns if file.exists() else 0


def _write(stream: TextIO, text: str) -> None:
    """Write to the log; where its disk has no room, what the user is told comes all the same."""
    with contextlib.suppress(OSError):
        stream.write(text)
