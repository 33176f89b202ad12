"""A real SLURM of two nodes on this machine: munge, slurmctld and two slurmd of its own, stopped at the end."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.launches import ROOT

CLUSTER = ROOT / "scripts" / "slurm_cluster.sh"
RUN = "recipes/slurm/run.sbatch"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
# A busy machine takes a minute or more to start Ray on a node.
PATIENCE_SECONDS = 900


@dataclass(frozen=True)
class Slurm:
    """Clients of the cluster; `folder` is where jobs write their output."""

    folder: Path
    environment: dict[str, str]

    def call(self, *command: str, **environment: str) -> str:
        """Output of a client, which must succeed."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment | environment, text=True, capture_output=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, options: list[str], recipe: Path | str, *overrides: str, **environment: str) -> str:
        """Job id of run.sbatch with a recipe; the output goes to JOB.out, of an array to JOB_TASK.out."""
        output = "%A_%a.out" if any(option.startswith("--array") for option in options) else "%j.out"
        return self.call(
            "sbatch", "--parsable", f"--output={self.folder / output}", *options, RUN, str(recipe), *overrides,
            **environment,
        )  # fmt: skip

    def job(self, job: str) -> dict[str, str]:
        """What `scontrol show job` says of a job or of a task JOB_TASK."""
        text = self.call("scontrol", "show", "job", "-o", job)
        return dict(field.split("=", 1) for field in text.split() if "=" in field)

    def wait(self, job: str) -> dict[str, str]:
        """As `job`, once it has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (state := self.job(job))["JobState"] not in ENDED:
            assert time.monotonic() < deadline, f"job {job} is {state['JobState']}: {self.output(job)[-3000:]}"
            time.sleep(0.5)
        return state

    def output(self, job: str) -> str:
        """What the job has written so far."""
        file = self.folder / f"{job}.out"
        return file.read_text() if file.exists() else ""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory) -> Slurm:
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"no {', '.join(absent)} here; on Debian: apt-get install -y slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("slurmctld and slurmd of this test's own run as root only")
    folder = tmp_path_factory.mktemp("slurm")
    # The environment of this interpreter, as after activating it.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "RAY"))}
    environment |= {
        "SLURM_CONF": str(folder / "slurm.conf"), "VIRTUAL_ENV": sys.prefix, "PATH": path, "PYTHONPATH": str(ROOT)
    }  # fmt: skip
    try:
        begun = subprocess.run(
            ["bash", str(CLUSTER), "start", str(folder)], text=True, capture_output=True, timeout=120
        )
        assert begun.returncode == 0, begun.stderr
        yield Slurm(folder, environment)
    finally:
        subprocess.run(["bash", str(CLUSTER), "stop", str(folder)], check=True, timeout=120)
