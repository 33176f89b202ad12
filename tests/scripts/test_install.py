"""What the installation asks of pip, of the driver, and of the memory that a build may take.

pip only writes down its calls here; scripts/test.sh has the real one in every clean clone.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.lock import LOCKS
from tests.launches import ROOT

LOCKED_TORCH = "torch==2.13.0"
# An interpreter of the version in its name; those of environments are copies.
PYTHON = """#!/bin/bash
version={version}
case "$*" in
    --version) echo "Python $version.7" ;;
    *'sys.version_info'*) echo "$version" ;;
    *'import sys, torch'*) [ -e {folder}/has_cuda_torch ] ;;
    *'import torch; print'*) cat {folder}/torch ;;
    *distributions*) cat {folder}/packages ;;
    *getsitepackages*) mkdir -p "$(dirname "$0")/../site" && echo "$(dirname "$0")/../site" ;;
    '-m venv '*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/bin/activate" ;;
    *'-m pip'*) echo "${{*:8}}" >> {folder}/asked ;;
esac
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of what the installation reads, with interpreters that write down what pip is asked."""
    for name in ("scripts/install.sh", "scripts/install_gpu.sh", "setup.py", "verl_dots/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "recipes/locks", tmp_path / "recipes/locks")
    (tmp_path / "scripts/flash_attn.sh").write_text("echo flash-attn >> asked\n")
    (tmp_path / "torch").write_text("2.11.0 13.0\n")
    (tmp_path / "packages").write_text("0\n")
    for name, version in (("python3", "3.11"), ("python3.11", "3.11"), ("python3.12", "3.12")):
        interpreter(tmp_path, tmp_path / "bin" / name, version)
    return tmp_path


def interpreter(checkout: Path, path: Path, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PYTHON.format(folder=checkout, version=version))
    path.chmod(0o755)


def install(checkout: Path, script: str = "install.sh", **variables: str) -> subprocess.CompletedProcess:
    environment = {"PATH": f"{checkout}/bin:/usr/bin:/bin", **variables}
    run = "set -euo pipefail; source" if script == "install.sh" else "bash"
    command = ["bash", "-c", f"{run} scripts/{script}"]
    return subprocess.run(command, cwd=checkout, env=environment, text=True, capture_output=True)


def asked(checkout: Path) -> list[str]:
    file = checkout / "asked"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def constraints(checkout: Path) -> str:
    return (checkout / ".venv/constraints.txt").read_text()


OURS = "--constraint .venv/constraints.txt --editable .[test]"


def test_a_cpu_is_installed_by_its_lock_and_once(checkout):
    assert install(checkout).returncode == 0
    assert asked(checkout) == [LOCKED_TORCH, OURS]
    assert constraints(checkout) == (ROOT / "recipes/locks/cpu.txt").read_text()
    assert install(checkout).returncode == 0 and asked(checkout) == []
    with open(checkout / "recipes/locks/cpu.txt", "a") as file:
        file.write("# changed\n")
    assert install(checkout).returncode == 0 and asked(checkout) == [LOCKED_TORCH, OURS]


@pytest.mark.parametrize("there", [True, False])
def test_another_torch_comes_with_what_it_needs(checkout, there):
    if there:
        (checkout / "has_cuda_torch").touch()
    assert install(checkout, **({} if there else {"TORCH": "torch==2.12.1"})).returncode == 0
    assert asked(checkout) == [OURS] if there else ["torch==2.12.1", OURS]
    names = {line.partition("==")[0] for line in constraints(checkout).splitlines()}
    assert {"transformers", "torchdata", "numpy"} <= names
    assert not [name for name in names if name in ("torch", "triton") or name.startswith(("nvidia-", "cuda-"))]


def test_gpus_are_installed_by_their_lock_alone_which_the_tests_then_leave(checkout):
    done = install(checkout, "install_gpu.sh", DRIVER="any")
    assert done.returncode == 0, done.stderr
    assert "Installing into .venv with Python 3.12.7" in done.stdout
    assert asked(checkout) == [*WHOLE, "flash-attn"]
    assert install(checkout).returncode == 0 and asked(checkout) == []
    (checkout / "verl_dots/__init__.py").write_text("# changed\n")
    assert install(checkout).returncode == 0 and asked(checkout) == WHOLE


WHOLE = ["--no-deps --requirement recipes/locks/gpu.txt", "--no-deps --editable ."]


def test_an_environment_of_another_lock_stays_as_it_is(checkout):
    assert install(checkout).returncode == 0
    stamp = (checkout / ".venv/verl_dots-installed").read_text()
    asked(checkout)
    done = install(checkout, "install_gpu.sh", DRIVER="any")
    assert done.returncode == 2 and asked(checkout) == []
    assert ".venv holds the packages of recipes/locks/cpu.txt, and those of gpu.txt would mix with them" in done.stderr
    assert "give another folder with VENV=.venv-gpu, or remove it (rm -r .venv)" in done.stderr
    assert (checkout / ".venv/verl_dots-installed").read_text() == stamp
    done = install(checkout, "install_gpu.sh", DRIVER="any", VENV=".venv-gpu")
    assert done.returncode == 0, done.stderr
    assert asked(checkout) == [*WHOLE, "flash-attn"] and done.stdout.endswith("source .venv-gpu/bin/activate\n")
    assert "Installing into .venv-gpu with Python 3.12.7" in done.stdout
    assert install(checkout).returncode == 0 and asked(checkout) == []  # the first one is as it was


@pytest.mark.parametrize(
    ("version", "packages", "asked_for", "told"),
    [
        ("3.11", 0, "python3.12", ".venv has Python 3.11, and PYTHON=python3.12 is 3.12"),
        ("3.11", 0, "python3.10", ".venv has Python 3.11, and PYTHON=python3.10 is none that runs"),
        ("3.13", 0, "", ".venv has Python 3.13, and verl_dots needs 3.11 or 3.12"),
        ("3.12", 7, "", ".venv holds 7 packages of unknown origin"),
        (None, 0, "", ".venv has no Python that runs"),
    ],
)
def test_an_environment_that_is_not_ours_stays_as_it_is(checkout, version, packages, asked_for, told):
    (checkout / ".venv").mkdir()
    if version:
        interpreter(checkout, checkout / ".venv/bin/python", version)
    (checkout / "packages").write_text(f"{packages}\n")
    before = sorted((checkout / ".venv").rglob("*"))
    done = install(checkout, "install_gpu.sh", DRIVER="any", PYTHON=asked_for)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert "Installing" not in done.stdout
    assert asked(checkout) == [] and sorted((checkout / ".venv").rglob("*")) == before


def test_an_empty_environment_is_used_with_its_own_python(checkout):
    interpreter(checkout, checkout / ".venv/bin/python", "3.11")
    (checkout / ".venv/bin/activate").touch()
    done = install(checkout, "install_gpu.sh", DRIVER="any")
    assert done.returncode == 0, done.stderr
    assert "Installing into .venv with Python 3.11.7" in done.stdout and asked(checkout) == [*WHOLE, "flash-attn"]


def test_a_cpu_build_of_torch_is_no_installation_for_gpus(checkout):
    (checkout / "torch").write_text("a warning\n2.11.0+cpu None\n")
    for _ in range(2):  # it is not taken for a finished one
        done = install(checkout, "install_gpu.sh", DRIVER="any")
        assert done.returncode == 2 and asked(checkout) == WHOLE
        assert "torch 2.11.0+cpu in .venv is a build for CPUs" in done.stderr and "rm -r .venv" in done.stderr
    for variable in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        given = {variable: "https://wheels/whl/cpu", "VENV": ".venv-gpu", "DRIVER": "any"}
        done = install(checkout, "install_gpu.sh", **given)
        assert done.returncode == 2 and asked(checkout) == []
        assert "names an index of CPU wheels, whose torch would be taken; unset it" in done.stderr


@pytest.mark.parametrize(
    ("script", "lock", "told"),
    [("install.sh", "gup", "LOCK=gup must be one of cpu gpu sglang"), ("install_gpu.sh", "cpu", "give gpu or sglang")],
)
def test_an_unknown_lock_is_refused(checkout, script, lock, told):
    done = install(checkout, script, LOCK=lock, DRIVER="any")
    assert (done.returncode, told in done.stderr) == (2, True) and asked(checkout) == []


NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA "
    "driver is installed and running."
)


@pytest.mark.parametrize(
    ("said", "ends", "status", "told"),
    [
        ("570.86.15", 0, 2, "The driver is 570.86.15; CUDA 13 needs 580 or newer"),
        ("580.65.06", 0, 0, ""),
        # As the tool ends: its sentence is where the version would be.
        (NO_DRIVER, 9, 0, f"tells of no driver here ({NO_DRIVER}); the machines that train need 580 or newer"),
        ("", 9, 0, "tells of no driver here; the machines that train need 580 or newer"),
    ],
)
def test_the_driver_must_know_cuda_13(checkout, said, ends, status, told):
    smi = checkout / "bin/nvidia-smi"
    lines = f'echo "{said}"\n' * 2 if said else ""
    smi.write_text(f"#!/bin/sh\n{lines}exit {ends}\n")
    smi.chmod(0o755)
    done = install(checkout, "install_gpu.sh")
    assert (done.returncode, told in done.stderr + done.stdout) == (status, True), done.stderr
    assert "integer" not in done.stderr
    assert bool(asked(checkout)) == (status == 0)


@pytest.mark.parametrize(
    ("lock", "told", "status"),
    [
        *(
            ("gpu", f"glibc {version}", status)
            for version, status in (("2.28", 2), ("2.9", 2), ("2.31", 0), ("2.100", 0))
        ),
        *(("sglang", f"glibc {version}", status) for version, status in (("2.31", 2), ("2.34", 0))),
        ("gpu", "", 0),
    ],
)
def test_the_system_must_have_the_glibc_that_the_wheels_need(checkout, lock, told, status):
    getconf = checkout / "bin/getconf"
    getconf.write_text(f"#!/bin/sh\n{f'echo {told}' if told else 'exit 1'}\n")
    getconf.chmod(0o755)
    done = install(checkout, "install_gpu.sh", DRIVER="any", LOCK=lock)
    words = f"wheels of recipes/locks/{lock}.txt need {LOCKS[lock].glibc} or newer"
    assert (done.returncode, words in done.stderr) == (status, status == 2), done.stderr
    assert bool(asked(checkout)) == (status == 0)


def test_flash_attn_is_left_out_where_that_is_asked_for(checkout):
    script = checkout / "scripts/flash_attn.sh"
    script.unlink()
    script.write_text('touch "$OUT"\n')
    for more, wanted in (({}, True), ({"FLASH_ATTN": "no"}, False)):
        out = checkout / f"flash{len(more)}"
        done = install(checkout, "install_gpu.sh", DRIVER="any", OUT=str(out), **more)
        assert (done.returncode, out.exists()) == (0, wanted), done.stderr
    done = install(checkout, "install_gpu.sh", DRIVER="any", FLASH_ATTN="0")
    assert done.returncode == 2 and "FLASH_ATTN=0: give no, or leave it out" in done.stderr


def test_a_build_of_flash_attn_has_as_many_compilers_as_its_control_group_has_memory_for(tmp_path):
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # of either version of control groups
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("2000000000\n")
    command = ["bash", str(ROOT / "scripts/flash_attn.sh"), "jobs"]
    environment = {"CGROUPS": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert done.stderr == "  2 GB of memory may be too little: one compiler takes 18\n"


def test_flash_attn_is_built_for_no_other_torch(tmp_path):
    command = ["bash", str(ROOT / "scripts/flash_attn.sh")]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, text=True, capture_output=True)
    assert done.returncode == 2 and "has no torch of CUDA 13; bash scripts/install_gpu.sh makes" in done.stderr


RETRIED = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(refused)': /flash-attn/"
NO_MATCH = "ERROR: No matching distribution found for flash-attn==2.8.3"


@pytest.mark.parametrize(
    ("pip", "told", "told_not"),
    [
        (f"{RETRIED}\n{NO_MATCH}", f"http://wheels/ cannot be reached; a mirror of it may be given as WHEELHOUSE. pip: "
                                   f"{RETRIED}", "fits"),
        (NO_MATCH, f"no wheel of http://wheels/ fits Python 3.11.7 here. pip: {NO_MATCH}", "reached"),
        ("", "does not work with this torch: ImportError: undefined symbol", "fits"),
    ],
)  # fmt: skip
def test_a_wheelhouse_out_of_reach_is_told_from_one_without_a_fitting_wheel(tmp_path, pip, told, told_not):
    python = tmp_path / "python"
    (tmp_path / "said").write_text(f"{pip}\n")
    python.write_text(f"""#!/bin/bash
case "$*" in
    --version) echo Python 3.11.7 ;;
    *'import flash_attn'*) printf 'Traceback\nImportError: undefined symbol\n' >&2; exit 1 ;;
    *'-m pip'*) echo "${{@:3}}" >> {tmp_path}/asked; cat {tmp_path}/said >&2; {"exit 1" if pip else "exit 0"} ;;
esac
""")
    python.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "WHEELHOUSE": "http://wheels/", "CUDA_HOME": str(tmp_path)}
    command = ["bash", str(ROOT / "scripts/flash_attn.sh")]
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert done.returncode == 1 and told in done.stderr and told_not not in done.stderr, done.stderr
    assert "without a wheel it must be built, which needs the nvcc of CUDA 13" in done.stderr
    removed = [line for line in asked(tmp_path) if line.startswith("uninstall")]  # what does not work is not left there
    assert removed == ([] if pip else ["uninstall --disable-pip-version-check --quiet --yes flash-attn"])
