"""scripts/savings.sh hands its variables to the runner of a matrix."""

import os
import subprocess

import pytest

from tests.launches import ROOT

COMMAND = "-m scripts.reproduce --matrix recipes/evidence/savings.yaml --runs runs/savings --no-evidence"


@pytest.mark.parametrize("arguments, variables, words", [
    ([], {}, "--no-time"),
    (["--time"], {"SEEDS": "1 2", "ONLY": "grpo dots_rr", "STEPS": "5"},
     "--time --seeds 1 2 --steps 5 --methods grpo dots_rr"),
])  # fmt: skip
def test_its_variables_become_options(tmp_path, arguments, variables, words):
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **variables}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts/savings.sh"), *arguments], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{COMMAND} {words}\n")
    for given in (["--tiem"], ["--time", "--dry-run"]):
        wrong = subprocess.run(["bash", str(ROOT / "scripts/savings.sh"), *given], capture_output=True, text=True)
        told = f"unknown argument '{' '.join(given)}'; give --time or nothing"
        assert wrong.returncode == 2 and told in wrong.stderr
