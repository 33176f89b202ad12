"""The lock files recipes/locks/*.txt, all versions of an installation: `python -m scripts.lock [--write]`.

Without --write: resolves again, with the locked versions where they still fit, and on each Python alone; exit 1 if a
lock is not what comes out. It needs uv (pip install uv) and an index of packages; metadata alone are downloaded.
With --keep it notes in recipes/evidence/locks.json how many packages each Python has, the day, and the uv.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from verl_dots.terminal import errors, output

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes/locks"
KEPT = ROOT / "recipes/evidence/locks.json"
PYTHONS = ("3.11", "3.12")
HELD = (
    "sys_platform == 'linux'", "platform_python_implementation == 'CPython'", "implementation_name == 'cpython'",
    "python_full_version >= '3.11'", "python_full_version < '3.13'",
)  # fmt: skip
RESOLVE_SECONDS = 1800
SGLANG = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0", "sglang==0.5.12")


@dataclass(frozen=True)
class Lock:
    """What one lock file resolves, beside setup.py.

    Attributes:
        extras: of setup.py.
        more: requirements that setup.py does not name.
        overrides: requirements that replace those of every package, as verl 0.9.1's pyproject.toml has them.
        machine: the processor; None for every one.
        glibc: the oldest that all its wheels take; scripts/install_gpu.sh asks for it.
        about: for the first lines of the file.
    """

    extras: tuple[str, ...]
    more: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    machine: str | None = None
    glibc: str = "2.28"
    about: str = ""

    @property
    def held(self) -> tuple[str, ...]:
        """Conditions that hold on every machine that the lock is for."""
        return (*HELD, f"platform_machine == '{self.machine}'") if self.machine else HELD


LOCKS: Mapping[str, Lock] = {
    "cpu": Lock(("test",), ("torch==2.13.0",), about="A machine without a GPU; scripts/install.sh takes it."),
    "gpu": Lock(
        ("vllm", "test"), machine="x86_64", glibc="2.31",
        about="CUDA 13, driver 580 or newer, with vLLM; scripts/install_gpu.sh takes it, and adds flash-attn.",
    ),
    "sglang": Lock(
        ("test",), SGLANG, machine="x86_64", glibc="2.34",
        # SGLang wants transformers 5.6.0, which verl excludes, and a flash-attn that overwrites files of ours.
        overrides=("transformers==5.9.0", "kernels>=0.12.0,<0.13", "flash-attn-4 ; sys_platform == 'none'"),
        about="As gpu.txt with SGLang in vLLM's place: LOCK=sglang bash scripts/install_gpu.sh.",
    ),
}  # fmt: skip


class LockError(Exception):
    """uv is not there, or finds no versions that go together."""


def uv() -> list[str]:
    """The command uv.

    Raises:
        LockError: it is not installed.
    """
    beside = Path(sys.executable).with_name("uv")
    if found := str(beside) if beside.exists() else shutil.which("uv"):
        return [found]
    raise LockError("uv is not installed; pip install uv, in any environment that is active")


def compiled(lock: Lock, known: str, options: Sequence[str], upgrade: bool = False) -> list[str]:
    """Lines NAME==VERSION [; MARKER] of a resolution.

    Args:
        known: lines of earlier versions, which are kept where they fit.
        options: of `uv pip compile`: which Pythons and platforms.
        upgrade: take the newest versions instead.

    Raises:
        LockError: no versions go together; uv's words.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        machines = " and ".join(lock.held)
        (folder / "pyproject.toml").write_text(f'[tool.uv]\nenvironments = ["{machines}"]\n')
        (folder / "more.txt").write_text("\n".join(lock.more))
        (folder / "overrides.txt").write_text("\n".join(lock.overrides))
        (folder / "lock.txt").write_text(known)
        extras = [word for extra in lock.extras for word in ("--extra", extra)]
        command = [
            *uv(), "pip", "compile", str(ROOT / "setup.py"), "more.txt", "--overrides", "overrides.txt", *extras,
            *options, "--fork-strategy=fewest", "--no-annotate", "--no-header", "--quiet", "--output-file=lock.txt",
            *(["--upgrade"] if upgrade else []),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=RESOLVE_SECONDS)
        if done.returncode:
            raise LockError(done.stderr.strip())
        return [without(line, lock) for line in (folder / "lock.txt").read_text().splitlines()]


def without(line: str, lock: Lock) -> str:
    """A line without the conditions that hold on every machine of the lock."""
    name, _, marker = line.partition(" ; ")
    left = [each for each in marker.split(" and ") if each and each not in lock.held]
    return f"{name} ; {' and '.join(left)}" if left else name


def text_of(name: str, lines: Sequence[str]) -> str:
    """The whole file."""
    return f"# {LOCKS[name].about}\n# Made by `python -m scripts.lock --write {name}`.\n" + "\n".join([*lines, ""])


def on_each_python(lock: Lock, locked: str) -> tuple[dict[str, int], list[str]]:
    """Packages of a resolution on each Python alone, counted; and what one has that the lock has not, or nothing."""
    found, machine = set(locked.splitlines()), lock.machine or "x86_64"
    versions = {line.partition(" ; ")[0] for line in found}
    packages: dict[str, int] = {}
    for python in PYTHONS:
        options = [
            f"--python-version={python}",
            f"--python-platform={machine}-manylinux_{lock.glibc.replace('.', '_')}",
        ]
        lines = compiled(lock, locked, options)
        versions_here = {line.partition(" ; ")[0] for line in lines}
        packages[python] = len(lines)
        output().print(f"  Python {python}: {len(lines)} packages")
        if more := sorted(versions_here - versions):
            return packages, [f"Python {python}: {', '.join(more)}"]
    return packages, []


def sha256(name: str) -> str:
    """Of a lock's file."""
    return hashlib.sha256((FOLDER / f"{name}.txt").read_bytes()).hexdigest()


def keep(found: Mapping[str, Any]) -> None:
    """Put what was found of some locks in the place of what was kept of them."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    KEPT.write_text(json.dumps(kept | found, indent=1, sort_keys=True) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check locks; 1 where one is not what comes out."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.lock", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(LOCKS)} (default: all)")
    parser.add_argument("--write", action="store_true", help="write the files (default: compare)")
    parser.add_argument("--upgrade", action="store_true", help="to the newest versions (default: keep what fits)")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="note it in recipes/evidence/locks.json (default: nothing is noted)",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(LOCKS):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(LOCKS)}")
    found: dict[str, Any] = {}
    try:
        for name in options.names or LOCKS:
            if resolved := _settle(name, options.write, options.upgrade):
                found[name] = resolved
    except LockError as error:
        errors().print(error)
        return 1
    if options.keep:
        keep(found)
    return int(set(found) != set(options.names or LOCKS))


def _settle(name: str, write: bool, upgrade: bool) -> dict[str, Any] | None:
    """Resolve one lock, write or compare it, and tell what was found; None where it is not what comes out."""
    lock, file = LOCKS[name], FOLDER / f"{name}.txt"
    before = file.read_text() if file.exists() else ""
    output().print(f"{file.relative_to(ROOT)}:")
    lines = compiled(lock, before, ["--universal", f"--python-version={PYTHONS[0]}"], upgrade)
    text = text_of(name, lines)
    if write:
        file.write_text(text)
    elif text != before:
        changed = sorted(set(text.splitlines()) ^ set(before.splitlines()))
        errors().print(f"  is not what comes out: {', '.join(changed)}; --write does it")
        return None
    packages, more = on_each_python(lock, text)
    if more:
        errors().print(f"  resolves to others: {'; '.join(more)}")
        return None
    asked = subprocess.run([*uv(), "--version"], text=True, capture_output=True, check=True, timeout=RESOLVE_SECONDS)
    version = asked.stdout.split()[:2]
    return {
        "sha256": sha256(name), "lines": len(lines), "packages": packages, "uv": version[-1],
        "resolved": f"{datetime.now(UTC):%Y-%m-%d}",
        "platform": f"Linux, {lock.machine or 'x86_64'}, glibc {lock.glibc}, CPython",
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
