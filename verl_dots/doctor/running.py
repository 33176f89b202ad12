"""Each check in a process of its own, for as long as it may take."""

import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from verl_dots.doctor.context import ROOT, Context
from verl_dots.doctor.rows import Row, skipped
from verl_dots.files import read_json

Level = Literal["quick", "recipe", "all"]
END_SECONDS = 20  # that a process has to end all below it


@dataclass(frozen=True)
class Check:
    """A function that looks at one thing, or at some that belong together.

    Attributes:
        name: one word, for `--only` and the names of files.
        function: MODULE.FUNCTION of this room, which takes the context and gives rows. Its module is imported in the
            check's process alone.
        seconds: that it may take.
        level: the least at which it runs: `quick` ones train nothing, those of `recipe` look at what every run needs,
            and those of `all` at what one recipe or another needs.
        device: it computes on GPUs, and is skipped where there are none and none was renounced.
        given: further arguments of the function.
    """

    name: str
    function: str
    seconds: int
    level: Level = "quick"
    device: bool = False
    given: tuple[str, ...] = ()

    def run(self, context: Context) -> list[Row]:
        """The rows, in this process.

        Raises:
            CheckFailed: it cannot come to its end.
        """
        module, _, name = self.function.partition(".")
        return getattr(import_module(f"verl_dots.doctor.{module}"), name)(context, *self.given)


def run_check(check: Check, context: Context) -> list[Row]:
    """The rows of a check; one that failed where it does not end well, or not in time."""
    if check.device and not context.cpu and not context.gpus:
        return [skipped(check.name, "torch sees no GPU here; device=cpu does without")]
    work = Path(context.work)
    given, found, log = (work / name for name in ("context.json", f"{check.name}.json", f"{check.name}.log"))
    context.save(given)
    found.unlink(missing_ok=True)
    command = [sys.executable, "-m", "verl_dots.doctor.process", str(given), check.name, str(found)]
    with log.open("w") as file:
        # Relative paths are of the checkout, as in a run: recipes change to it.
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        try:
            status = process.wait(check.seconds)
        except subprocess.TimeoutExpired:
            text = f"no result after {check.seconds} s"
            return [Row(check.name, text, f"{check.seconds} s", "fail", f"see {log}, or give it longer by --patience")]
        finally:
            _end(process)
    if status or not found.exists():
        last = next((line.strip() for line in reversed(log.read_text().splitlines()) if line.strip()), "")
        return [Row(check.name, f"ended with status {status}: {last[:300]}", "a result", "fail", f"see {log}")]
    return [Row(**row) for row in read_json(found, list)]


def _end(process: subprocess.Popen) -> None:
    """A process that guards its children (verl_dots/guard.py) ends them at SIGINT, Ray's daemons too."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_SECONDS)


def chosen(checks: Sequence[Check], only: Collection[str], level: Level, needed: Collection[str] = ()) -> list[Check]:
    """The checks that were asked for, in their order.

    Args:
        only: names, whatever the level.
        needed: names of those of `all` which the recipe needs, for `recipe`.
    """
    levels = {"quick": ("quick",), "recipe": ("quick", "recipe"), "all": ("quick", "recipe", "all")}[level]
    if only:
        return [check for check in checks if check.name in only]
    return [check for check in checks if check.level in levels or (level == "recipe" and check.name in needed)]
