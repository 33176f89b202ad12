"""What two lock files have at other versions: `python -m scripts.lock_difference [ONE OTHER] [--pins]`.

The tests run by cpu.txt. What gpu.txt has at the same version they have tried; this lists the rest. `--pins` gives the
other lock's versions of what needs no GPU, for `scripts/test_gpu_versions.sh`.
"""

import argparse
import re
from collections.abc import Mapping, Sequence

from packaging.requirements import Requirement
from rich.table import Table

from scripts.lock import FOLDER, LOCKS, PYTHONS
from verl_dots.terminal import output

# Builds for GPUs, and what torch brings of its own.
OF_GPUS = re.compile(r"torch|triton|(cuda|nvidia)-.*")


def versions(name: str, python: str, machine: str = "x86_64") -> dict[str, str]:
    """Version of each package of a lock, on Linux with such a Python and processor."""
    given = {"python_version": python, "python_full_version": f"{python}.7", "platform_machine": machine}
    environment = given | {"sys_platform": "linux", "implementation_name": "cpython"}
    found = {}
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        requirement = None if line.startswith("#") else Requirement(line)
        if requirement and (requirement.marker is None or requirement.marker.evaluate(environment)):
            (pin,) = requirement.specifier
            found[requirement.name] = pin.version
    return found


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Both versions of the packages of both that have two."""
    return {name: (one[name], other[name]) for name in sorted(one.keys() & other.keys()) if one[name] != other[name]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print them."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.lock_difference", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("one", nargs="?", default="cpu", choices=LOCKS, help="a lock (default: %(default)s)")
    parser.add_argument("other", nargs="?", default="gpu", choices=LOCKS, help="another (default: %(default)s)")
    parser.add_argument("--python", default=PYTHONS[0], choices=PYTHONS, help="of which Python (default: %(default)s)")
    parser.add_argument("--pins", action="store_true", help="NAME==VERSION of what needs no GPU (default: a table)")
    options = parser.parse_args(arguments)
    one, other = (versions(name, options.python) for name in (options.one, options.other))
    found = differing(one, other)
    if options.pins:
        for name, (_, version) in found.items():
            if not OF_GPUS.fullmatch(name):
                output().print(f"{name}=={version}")
        return 0
    table = Table("package", options.one, options.other, "", title=f"Python {options.python}")
    for name, both in found.items():
        table.add_row(name, *both, "of GPUs, or torch's" if OF_GPUS.fullmatch(name) else "")
    output().print(table)
    same = len(one.keys() & other.keys()) - len(found)
    alone = [len(mine.keys() - theirs.keys()) for mine, theirs in ((one, other), (other, one))]
    output().print(
        f"{same} packages at the same version; {alone[0]} in {options.one} alone, {alone[1]} in {options.other}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
