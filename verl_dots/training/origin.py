"""Where a run comes from: the commit of the code, and the machine that it runs on."""

import os
import subprocess
from pathlib import Path
from typing import Any

import verl_dots

CPU_FILE = Path("/proc/cpuinfo")
GPU_FOLDER = Path("/proc/driver/nvidia/gpus")  # asking CUDA would take memory of a GPU
UNSAVED = "+"


def commit(folder: Path = Path(verl_dots.__file__).parents[1]) -> str | None:
    """The commit checked out in a folder, with "+" where tracked files differ from it; None outside of git.

    Args:
        folder: the top of a checkout; one further in is not asked for, else an installed package in an environment
            inside some repository would tell the commit of that.
    """
    if not (folder / ".git").exists():
        return None
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + UNSAVED * bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict[str, Any]:
    """The CPU's model, the cores that the process may use, and the models of the machine's NVIDIA GPUs."""
    gpus = [_field(file, "Model") for file in sorted(GPU_FOLDER.glob("*/information"))]
    return {"cpu": _field(CPU_FILE, "model name"), "cores": len(os.sched_getaffinity(0)), "gpus": gpus}


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", folder, *command], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


def _field(file: Path, name: str) -> str:
    """The first field of a name, as Linux tells it; empty where it does not."""
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
