"""Versions of packages, the driver, and what kernels are compiled with at run time."""

import ctypes
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from verl_dots.doctor.context import ROOT, Context
from verl_dots.doctor.rows import Row, judged, skipped, warned
from verl_dots.launch.attention_checks import INSTALL, has_flash_attention, needs_flash_attention
from verl_dots.launch.machine_checks import ENVIRONMENT

# CUDA's major version of a build of torch -> least driver (docs.nvidia.com/deploy/cuda-compatibility, table 1).
LEAST_DRIVER = {11: 450, 12: 525, 13: 580}
CUDA = "/usr/local/cuda"  # where the toolkit is, unless it was put elsewhere
LIBCUDA = "libcuda.so.1"  # the driver's, or that of CUDA's compatibility libraries
# CUDA's errors: the driver is too old for compatibility libraries, or the GPU is none that they serve.
MISMATCHES = {803: "its driver is too old for it", 804: "this GPU is not served by CUDA's compatibility libraries"}
LOCKS = {"vllm": "gpu", "sglang": "sglang"}  # engine -> lock of recipes/locks
NAMED = 8  # packages that a row names
SOURCE = "#include <Python.h>\nint main(void) { return 0; }\n"


def versions(context: Context) -> list[Row]:
    """Packages beside the requirements of this package and of verl, and beside the lock of the engine."""
    extra = "" if context.cpu else context.engine
    lock = lock_of(context)
    fix = "pip install -e ." if lock is None else install_command(context, lock)
    rows = [_fit("packages, by verl-dots and verl", requirements(extra), fix)]
    if lock is None:
        return [*rows, skipped("packages, by the lock", f"there is no lock for {extra or 'a CPU'}")]
    wanted = locked(lock.read_text())
    if context.cpu:  # a build of torch for CPUs leaves CUDA's packages out, which the lock names
        wanted = [each for each in wanted if installed(each.name)]
    return [*rows, _fit("packages, by the lock", wanted, fix)]


def install_command(context: Context, lock: Path) -> str:
    """How the environment that runs this becomes that of a lock.

    All of a lock for GPUs is installed. On a CPU pip takes what is needed, lest it fetch CUDA's packages.
    """
    name = lock.relative_to(ROOT)
    return f"pip install --constraint {name} --editable ." if context.cpu else f"pip install --no-deps -r {name}"


def requirements(extra: str) -> list[Requirement]:
    """What this package and verl require, as installed; with the packages of an engine."""
    texts = [text for name in ("verl-dots", "verl") for text in metadata.requires(name) or ()]
    texts = [text for text in texts if "extra ==" not in text] + [
        text for text in metadata.requires("verl-dots") or () if f'extra == "{extra}"' in text.replace("'", '"')
    ]
    return [each for each in map(Requirement, texts) if each.marker is None or each.marker.evaluate({"extra": extra})]


def locked(text: str) -> list[Requirement]:
    """The requirements of a file in pip's format: one a line, without options and hashes."""
    lines = (line.split(" --")[0].split("#")[0].strip(" \\\t") for line in text.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def lock_of(context: Context) -> Path | None:
    """The lock file of the engine, or of a CPU."""
    file = ROOT / "recipes" / "locks" / f"{'cpu' if context.cpu else LOCKS.get(context.engine)}.txt"
    return file if file.is_file() else None


def _fit(check: str, wanted: list[Requirement], fix: str) -> Row:
    wrong = [text for each in wanted if (text := misfit(each))]
    more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    named = "; ".join(wrong[:NAMED]) + more if wrong else f"{len(wanted)} fit"
    return judged(check, not wrong, named, "all fit", fix)


def misfit(wanted: Requirement) -> str:
    """How an installed package differs from a requirement; nothing where it fits."""
    if wanted.marker is not None and "extra" not in str(wanted.marker) and not wanted.marker.evaluate():
        return ""
    there = installed(wanted.name)
    if there is None:
        return f"{wanted.name}{wanted.specifier} is missing"
    # A build of torch for CUDA or a CPU has its own ending, which the lock need not have.
    fits = wanted.specifier.contains(there, prereleases=True)
    return "" if fits else f"{wanted.name} is {there}, not {wanted.specifier}"


def installed(name: str) -> str | None:
    """Version of a package; None where it is not installed."""
    try:
        return metadata.version(canonicalize_name(name))
    except metadata.PackageNotFoundError:
        return None


def toolchain(context: Context) -> list[Row]:
    """The driver, CUDA's compiler, and a C compiler with Python's headers."""
    return [_compiler(), *([skipped("driver", "device=cpu")] if context.cpu else [_driver(), _toolkit(context)])]


def _compiler() -> Row:
    """Triton and torch.compile build their launchers with a C compiler and Python's headers while a run starts."""
    check, limit = "C compiler and Python.h", "a program compiles"
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    fix = "install gcc, and the headers of this Python (Debian: gcc python3-dev; of conda they are there)"
    if compiler is None:
        return judged(check, False, "no gcc, cc or clang", limit, fix)
    with tempfile.TemporaryDirectory() as folder:
        command = [compiler, "-x", "c", "-", "-fsyntax-only", f"-I{sysconfig.get_path('include')}"]
        done = subprocess.run(command, cwd=folder, input=SOURCE, capture_output=True, text=True, timeout=60)
    said = done.stderr.strip().splitlines()
    return judged(check, done.returncode == 0, compiler if done.returncode == 0 else said[0], limit, fix)


def _driver() -> Row:
    import torch

    check, build = "driver", torch.version.cuda
    if build is None:
        return judged(check, False, f"torch {torch.__version__} has no CUDA", "a CUDA build", ENVIRONMENT)
    major = int(build.split(".")[0])
    limit = f"CUDA {major}" + (f"; a driver of {LEAST_DRIVER[major]} has it" if major in LEAST_DRIVER else "")
    try:
        library = ctypes.CDLL(LIBCUDA)
    except OSError:
        return judged(check, False, f"no {LIBCUDA}; {_driver_version()}", limit, "run this on a node with GPUs")
    number = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(number))
    wrong = MISMATCHES.get(library.cuInit(0))
    found = f"CUDA {number.value // 1000}.{number.value % 1000 // 10}; {_driver_version()}"
    good = number.value >= 1000 * major and wrong is None
    fix = "ask for a newer driver, or use an image of recipes/containers: on data-centre GPUs it does with an older one"
    return judged(check, good, f"{found}; {wrong}" if wrong else found, limit, fix)


def _driver_version() -> str:
    """What nvidia-smi says of the driver of the system, which compatibility libraries stand above."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "no nvidia-smi"
    asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=30)
    said = (done.stdout or done.stderr).strip().splitlines()
    if not said:
        return "nvidia-smi says nothing"
    return f"driver {said[0]}" if said[0][0].isdigit() else f"nvidia-smi: {said[0]}"


def _toolkit(context: Context) -> Row:
    """nvcc builds flash-attn. Where flash-attn is there, any version of nvcc does, and none."""
    import torch

    check, build = "CUDA toolkit", torch.version.cuda
    if build is None:
        return skipped(check, f"torch {torch.__version__} has no CUDA")
    if has_flash_attention():
        return skipped(check, "flash-attn is there, and nothing else is built")
    wanted, found = build.split(".")[0], _nvcc()
    good, fix = found.startswith(f"nvcc of CUDA {wanted}."), f"load a module with nvcc of CUDA {wanted}, then {INSTALL}"
    if good or needs_flash_attention(context.config):
        return judged(check, good, f"{found}, and no flash-attn", f"nvcc of CUDA {wanted}, torch's", fix)
    return warned(check, f"{found}; {context.recipe} does without flash-attn, which one of CUDA {wanted} builds", fix)


def _nvcc() -> str:
    """The compiler of CUDA that a build takes, by torch's order: that of CUDA_HOME, in PATH, at CUDA's usual place."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    places = [f"{home}/bin"] if home else []
    for place in (*places, None, f"{CUDA}/bin"):
        if tool := shutil.which("nvcc", path=place):
            break
    else:
        return f"no nvcc in PATH, {', '.join([*places, f'{CUDA}/bin'])}"
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=30).stdout
    found = re.search(r"release (\d+\.\d+)", said)
    where = f" in {place}" if place else ""
    return f"nvcc of CUDA {found[1]}{where}" if found else f"an nvcc{where} that says {said[:80]!r}"
