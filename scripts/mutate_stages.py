"""Whether the tests notice a fault: each file of a stage with one change at a time, and its room's tests run on it.

    python -m scripts.mutate_stages [--only dash] [--limit 50 --seed 1] [--jobs 2] [FILE ... [--tests TEST ...]]

A mutant is one change of a file: a `raise` at the beginning of a function, a comparison or a condition turned around,
+ and - or * and / or `and` and `or` swapped, a `not` or a minus dropped, a minus before a returned number, another
number, True for False, an assignment to an attribute or a call whose result nothing takes dropped. The tests that need
no Ray run on each; a mutant that fails none of them has survived. Prints a table by file and the survivors.
What the tests import besides this project is imported once. Ends with status 1 below 95 % noticed.
"""

import argparse
import gc
import importlib
import importlib.abc
import importlib.util
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from scripts.mutants import Mutant, mutants_of
from verl_dots.terminal import output

LEAST = 0.95  # of the mutants must be noticed
TESTS_SECONDS, KILLED_SECONDS = 3600.0, 30.0
SHARED = ("verl_dots/methods/loader.py", "verl_dots/training/pipeline.py")
QUICKLY = ("-x", "-q", "-p", "no:cacheprovider", "--ignore-glob=*end_to_end.py")
SKIPPED = "not e2e and not long and not slurm"
FORK = multiprocessing.get_context("fork")


def stage_files(room: str | None) -> list[Path]:
    """The files of the stages, or those of one room of methods."""
    if room and not Path("verl_dots/methods", room).is_dir():
        sys.exit(f"mutate_stages: there is no room verl_dots/methods/{room}; give the name of a folder there")
    files = sorted(path for path in Path("verl_dots/methods").glob(f"{room or '*'}/*stage*.py"))
    return files if room else [*files, *map(Path, SHARED)]


def tests_of(file: Path) -> tuple[str, ...]:
    """The tests of a stage's room, or those of what the stages share."""
    if file.parent.parent == Path("verl_dots/methods"):
        return (str(Path("tests/methods", file.parent.name)),)
    shared = [*sorted(Path("tests/methods").glob("test_*.py")), Path("tests/training/test_pipeline.py")]
    return tuple(str(path) for path in shared if path.exists())


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a mutant's code, whatever its file says."""

    def __init__(self, file: Path, code: CodeType):
        self.name, self.file, self.code = ".".join(file.with_suffix("").parts), file, code

    def find_spec(self, fullname, path=None, target=None):
        return importlib.util.spec_from_loader(fullname, self, origin=str(self.file)) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.file)
        exec(self.code, module.__dict__)


def run_tests(tests: Sequence[str], mutant: Mutant | None, answer: Connection | None = None) -> None:
    """In a process of its own: run tests, tell the modules that they have imported, and end with pytest's status."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    if mutant:
        sys.meta_path.insert(0, Mutated(mutant.file, compile(mutant.tree, str(mutant.file), "exec")))
    status = pytest.main([*QUICKLY, "-m", SKIPPED, *tests])
    if answer:
        answer.send([name for name in sys.modules if not _own(name)])
    os._exit(int(status))


def _own(name: str) -> bool:
    """Whether a module is of this project."""
    top = name.split(".")[0]
    return top == "__main__" or Path(top).is_dir() or Path(f"{top}.py").is_file()


def prepare(tests: Sequence[str]) -> float:
    """Run tests on what is there, and import what they have imported; the seconds that they then take.

    Raises:
        SystemExit: they fail as it is.
    """
    for _ in range(2):
        receiver, sender = FORK.Pipe(duplex=False)
        began = time.monotonic()
        process = FORK.Process(target=run_tests, args=(tests, None, sender))
        process.start()
        sender.close()
        try:
            if not receiver.poll(TESTS_SECONDS):
                sys.exit(f"mutate_stages: pytest {' '.join(tests)} does not end within {TESTS_SECONDS:g} s")
            names = receiver.recv()
        except EOFError:
            names = []
        process.join(TESTS_SECONDS)
        if process.exitcode:
            sys.exit(f"mutate_stages: pytest {' '.join(tests)} ends with status {process.exitcode}; mend that first")
        seconds = time.monotonic() - began
        for name in names:
            try:
                importlib.import_module(name)
            except (ImportError, ValueError, KeyError):
                continue  # made by another module while that was imported
        gc.freeze()  # no mutant's process need look through all of it
    return seconds


def run_all(
    mutants: Iterable[Mutant], tests: dict[Path, Sequence[str]], jobs: int, limit: float
) -> Iterator[tuple[Mutant, int]]:
    """(mutant, status of its tests), as they end; those that take longer than `limit` seconds are killed."""
    waiting, running = list(mutants)[::-1], {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            process = FORK.Process(target=run_tests, args=(tests[mutant.file], mutant))
            process.start()
            running[process.sentinel] = (process, mutant, time.monotonic() + limit)
        wait(list(running), timeout=1.0)
        for sentinel, (process, mutant, end) in list(running.items()):
            if process.is_alive() and time.monotonic() < end:
                continue
            process.kill()
            process.join(KILLED_SECONDS)
            del running[sentinel]
            yield mutant, process.exitcode


def report(mutants: Sequence[Mutant], survived: Sequence[Mutant], console: Console) -> float:
    """Print the table and the survivors; the share that was noticed."""
    table = Table("stage", "mutants", "noticed", "share")
    left = {(mutant.file, mutant.number) for mutant in survived}
    files = dict.fromkeys(mutant.file for mutant in mutants)
    for name, of_file in [(str(file), [file]) for file in files] + [("all", list(files))]:
        found = [(mutant.file, mutant.number) not in left for mutant in mutants if mutant.file in of_file]
        table.add_row(name, str(len(found)), str(sum(found)), f"{sum(found) / len(found):.1%}")
    console.print(table)
    for mutant in sorted(survived, key=lambda mutant: (str(mutant.file), mutant.line)):
        console.print(f"{mutant.file}:{mutant.line}: {mutant.change}")
    return 1 - len(survived) / len(mutants)


def main() -> None:
    """Make the mutants, run the tests on each, print what they notice."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.mutate_stages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", type=Path, help="to change, from the project's root; default: all stages")
    parser.add_argument("--tests", nargs="+", help="files or folders; default: those of the room")
    parser.add_argument("--only", metavar="ROOM", help="of verl_dots/methods")
    parser.add_argument("--limit", type=int, help="mutants that are drawn from all; default: every one")
    parser.add_argument("--seed", type=int, default=1, help="of that draw")
    parser.add_argument("--jobs", type=int, default=1, help="tests that run at once")
    options = parser.parse_args()
    files = options.files or stage_files(options.only)
    tests = {file: tuple(options.tests or tests_of(file)) for file in files}
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    if options.limit is not None and options.limit < len(mutants):
        chosen = sorted(random.Random(options.seed).sample(range(len(mutants)), options.limit))
        mutants = [mutants[place] for place in chosen]
    limit = 10 + 5 * max(prepare(of_file) for of_file in dict.fromkeys(tests.values()))
    survived, killed = [], 0
    with tqdm(run_all(mutants, tests, options.jobs, limit), total=len(mutants), unit="mutant") as bar:
        for mutant, status in bar:
            survived += [mutant] if status == 0 else []
            killed += status < 0
            bar.set_postfix(survived=len(survived))
    console = output()
    share = report(mutants, survived, console)
    if killed:
        console.print(f"{killed} of those that were noticed took more than {limit:.0f} s and were ended")
    sys.exit(int(share < LEAST))


if __name__ == "__main__":
    main()
