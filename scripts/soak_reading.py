"""What a long run holds while it trains: memory, open files and threads of its processes by role, and its disk."""

import csv
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import psutil

from scripts.processes import role_of, with_all_below

MIB = 2**20
ALL = "all processes"
MEMORY, FILES, THREADS, PROCESSES, DISK = "memory (MiB)", "open files", "threads", "processes", "disk (MiB)"
CHECKPOINTS, JOURNALS, RAY_LOGS, SHARED = "checkpoints", "journals", "Ray's logs", "/dev/shm"


@dataclass(frozen=True)
class Sample:
    """One figure at one moment.

    Attributes:
        launch: of the run, from 0; each resume is another.
        seconds: since the epoch.
        step: that the run had logged last.
        of: a role of processes, or a folder.
        quantity: which figure.
        value: in the unit that the quantity names.
    """

    launch: int
    seconds: float
    step: int
    of: str
    quantity: str
    value: float


HEADER = [field.name for field in fields(Sample)]


def append(path: Path, samples: Iterable[Sample]) -> None:
    """Add rows to a CSV, which begins with the names of the columns."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(HEADER)
        writer.writerows(astuple(sample) for sample in samples)


def read(path: Path) -> list[Sample]:
    """The rows of such a CSV; a last row that was cut off is left out."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[name] for name in HEADER)]
    return [
        Sample(int(row["launch"]), float(row["seconds"]), int(row["step"]), row["of"], row["quantity"],
               float(row["value"]))
        for row in rows
    ]  # fmt: skip


def look(top: psutil.Process, run: Path, launch: int, step: int) -> list[Sample]:
    """All figures of a run at this moment.

    Args:
        top: process that all others of the run are below.
        run: its folder.
        launch, step: see `Sample`.
    """
    seconds = time.time()
    figures = {**_of_processes(top), **_of_folders(top, run)}
    return [Sample(launch, seconds, step, of, quantity, value) for (of, quantity), value in figures.items()]


def _of_processes(top: psutil.Process) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = defaultdict(float)
    for process in with_all_below(top):
        try:
            role = role_of(" ".join(process.cmdline()))
            one = {
                MEMORY: proportional_bytes(process.pid) / MIB,
                FILES: process.num_fds(),
                THREADS: process.num_threads(),
                PROCESSES: 1,
            }
        except (psutil.Error, OSError):
            continue  # it has ended
        for quantity, value in one.items():
            found[role, quantity] += value
            found[ALL, quantity] += value
    return dict(found)


def proportional_bytes(pid: int) -> int:
    """Memory of a process, where what several share counts for each in part (PSS): the sum is what they take.

    Raises:
        OSError: it has ended, or is another user's.
    """
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _of_folders(top: psutil.Process, run: Path) -> dict[tuple[str, str], float]:
    # Checkpoints of which one is just being written, or removed, are told apart by the median of many samples.
    checkpoints = sum(folder_bytes(folder) for folder in run.glob("global_step_*"))
    found = {CHECKPOINTS: checkpoints, JOURNALS: folder_bytes(run) - checkpoints}
    found[SHARED] = psutil.disk_usage(SHARED).used
    if (session := _session(top)) is not None:
        found[RAY_LOGS] = folder_bytes(session)
    return {(of, DISK): value / MIB for of, value in found.items()}


def _session(top: psutil.Process) -> Path | None:
    """Folder of the run's Ray, which the command line of its raylet names."""
    for process in with_all_below(top):
        try:
            for word in process.cmdline():
                if word.startswith(("--session_dir=", "--session-dir=")):
                    return Path(word.partition("=")[2])
        except psutil.Error:
            continue
    return None


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, which may go while they are counted."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    for file in folder.rglob("*"):
        try:
            if file.is_file() and not file.is_symlink():
                yield file.stat().st_size
        except OSError:
            continue
