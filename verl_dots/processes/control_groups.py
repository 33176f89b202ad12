"""Limits of memory and cores of the control groups around this process, of version 1 and 2."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Version:
    """Names of files; a limit that is no number is none.

    Attributes:
        file_cache: lines of memory.stat, of a group and all below it. The kernel takes these bytes back before a group
            is out of memory.
    """

    memory_limit: str
    memory_used: str
    file_cache: tuple[str, ...]


V1 = Version("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
V2 = Version("memory.max", "memory.current", ("inactive_file", "active_file"))


def free_memory(own: Path = Path("/proc/self/cgroup"), top: Path = CGROUPS) -> int:
    """RAM that this process may still take: of the machine, and of each control group that it is in."""
    rooms = [psutil.virtual_memory().available]
    for folder in groups("memory", own, top):
        for version in (V1, V2):
            limit, used = _number(folder / version.memory_limit), _number(folder / version.memory_used)
            if limit is not None and used is not None:
                rooms.append(limit - used + _file_cache(folder, version))
    return max(0, min(rooms))


def free_cores(own: Path = Path("/proc/self/cgroup"), top: Path = CGROUPS) -> float:
    """Cores that this process may use."""
    found = [float(len(os.sched_getaffinity(0)))]
    for folder in groups("cpu", own, top):
        file = folder / "cpu.max"
        words = file.read_text().split() if file.is_file() else ["max"]
        if words[0] != "max":
            found.append(int(words[0]) / int(words[1]))
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota and period:  # -1, no number here, is no limit
            found.append(quota / period)
    return min(found)


def groups(controller: str, own: Path, top: Path) -> Iterator[Path]:
    """Folders of the control groups of this process, innermost first; SLURM's limits are in an outer.

    A line of version 2 is `0::/GROUP`, one of version 1 `NUMBER:CONTROLLER,CONTROLLER:/GROUP`, whose groups are below
    a folder of that name.

    Args:
        controller: of version 1, `memory` or `cpu`.
    """
    for line in own.read_text().splitlines() if own.is_file() else ():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            root = top
        elif controller in controllers.split(","):
            root = next((top / name for name in (controller, controllers) if (top / name).is_dir()), top / controller)
        else:
            continue
        folder = root / group.removeprefix("/")
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(root))


def _file_cache(folder: Path, version: Version) -> int:
    """Bytes of files that a group has in memory, which count as used."""
    file = folder / "memory.stat"
    lines = map(str.split, file.read_text().splitlines() if file.is_file() else ())
    return sum(int(number) for name, number in lines if name in version.file_cache)


def _number(file: Path) -> int | None:
    text = file.read_text().strip() if file.is_file() else ""
    return int(text) if text.isdigit() else None
