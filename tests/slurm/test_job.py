"""What run.sbatch asks of SLURM, and where it finds Ray; the clients only write down their calls: no SLURM is needed.

tests/slurm/test_run.py has the same job under a real one.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.launches import ROOT

SCRIPT = ROOT / "recipes/slurm/run.sbatch"
# The last task: its id is the array's.
ARRAY = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}
SINGLE = {"SLURM_JOB_ID": "9"}
PATIENCE_SECONDS = 120

# As SLURM's, an array's id means all of its tasks: a line for each that runs.
SQUEUE = """
while [ "$1" != -j ]; do shift; done
for job in $(cat "$TOLD/running" 2>/dev/null); do
    case $job in "$2" | "$2"_*) if [ "$3" = -o ]; then cat "$TOLD/end"; else echo "$job"; fi ;; esac
done
"""
CLIENTS = {
    "squeue": SQUEUE,
    "scontrol": 'if [ "$1" = show ]; then echo n1; fi\n',
    "srun": 'echo $$ > "$TOLD/srun"; exec sleep 600\n',
    "scancel": 'kill "$(cat "$TOLD/srun")"\n',
}
RAY = {
    "ray": "",
    "python": """
case "$*" in
    *address) echo 127.0.0.1 1 2 ;;
    *torch.version.cuda*) [ -n "$CUDA_TORCH" ] ;;
    -c*) echo token ;;
esac
""",
}
FAILS = 'touch "$RUN/begun"; exit 3\n'
FAILS_LATER = 'echo 5 > "$RUN/latest_checkpointed_iteration.txt"; exit 3\n'
# A run whose steps take as long as told, and that is complete soon where nobody asks it to stop.
STEPS = """
echo '{"step": 1, "timing_s/step": 'STEP', "timing_s/save_checkpoint": 1.5}' > "$RUN/metrics.jsonl"
echo '{"finished": null}' > "$RUN/run.json"
for _ in {1..WAIT}; do
    [ ! -e "$RUN/stop" ] || { echo 5 > "$RUN/latest_checkpointed_iteration.txt"; exit 0; }
    sleep 0.2
done
echo '{"finished": "now"}' > "$RUN/run.json"
"""
SAVES = """
echo '{"finished": null}' > "$RUN/run.json"
until [ -e "$RUN/stop" ]; do sleep 0.1; done
echo 5 > "$RUN/latest_checkpointed_iteration.txt"
"""


def programs(folder: Path, texts: dict[str, str]) -> Path:
    """A folder of scripts that note how they are called."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(f'#!/bin/bash\necho "{name} $*" >> "$TOLD/calls"\n{text}')
        (folder / name).chmod(0o755)
    return folder


@dataclass(frozen=True)
class Job:
    """A checkout with one recipe, and the environment of a job in it."""

    folder: Path
    environment: dict[str, str]

    def begin(self, text: str, **more: str) -> subprocess.Popen:
        (self.folder / "own.sh").write_text(text)
        return subprocess.Popen(
            ["bash", str(SCRIPT), "own.sh"], cwd=self.folder, env=self.environment | more, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, text: str, **more: str) -> tuple[int, str]:
        """Exit status and output."""
        process = self.begin(text, **more)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, output

    def calls(self) -> list[str]:
        return (self.folder / "told/calls").read_text().splitlines()


@pytest.fixture
def job(tmp_path) -> Job:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    (tmp_path / "told").mkdir()
    programs(tmp_path / "bin", CLIENTS)
    programs(tmp_path / "ray", RAY)
    environment = {
        "PATH": f"{tmp_path}/ray:{tmp_path}/bin:/usr/bin:/bin", "TOLD": f"{tmp_path}/told", "RUN": f"{tmp_path}/run",
        "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "n1", "HOME": str(tmp_path), "TZ": "UTC",
    }  # fmt: skip
    return Job(tmp_path, environment)


@pytest.mark.parametrize(
    ("ids", "name", "run"), [(ARRAY, "7_2", "run-seed2"), (SINGLE, "9", "run")], ids=["task of an array", "job"]
)
def test_a_job_requeues_itself_and_none_of_its_array(job, ids, name, run):
    (job.folder / "told/running").write_text(f"7_1 {name}")
    end = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(minutes=10)
    (job.folder / "told/end").write_text(f"{end.isoformat()}\n")
    process = job.begin(SAVES, **ids)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (job.folder / run / "run.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGUSR1)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert [call for call in job.calls() if "requeue" in call] == [f"scontrol requeue {name}"]
    assert [call for call in job.calls() if call.startswith("scancel")] == [f"scancel --signal=TERM {name}.0"]
    assert f"squeue -h -j {name} -o %e" in job.calls()
    # KILL_SECONDS=60 before the end that squeue tells of this task; not an hour from now, as without an answer.
    assert f"save and stop, until {end - timedelta(seconds=60):%T}" in output
    assert "saved at step 5; requeue" in output
    assert (job.folder / run / "slurm_job").read_text() == f"{name}\n"


@pytest.mark.parametrize(("step", "asked"), [(500, True), (1.0, False)])
def test_a_run_is_asked_to_save_as_early_as_its_step_and_save_need(job, step, asked):
    """No later than for half of the job: this one has 16 seconds, or an hour, of which it takes few."""
    (job.folder / "told/running").write_text("9")
    end = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=16 if asked else 3600)
    (job.folder / "told/end").write_text(f"{end.isoformat(timespec='seconds')}\n")
    recipe = STEPS.replace("STEP", str(step), 1).replace("WAIT", "300" if asked else "15")
    status, output = job.run(recipe, **SINGLE, MEASURE_SECONDS="1", KILL_SECONDS="2")
    assert status == 0, output
    requeued = "scontrol requeue 9" in job.calls()
    said = ["a step and a save may take" in output, "saved at step 5; requeue" in output, "complete" not in output]
    assert [requeued, *said] == [asked] * 4, output


def test_a_run_that_fails_is_requeued_where_it_has_a_checkpoint_and_twice(job):
    for status, message in (
        (0, "requeue from step 5, retry 1 of 2"),
        (0, "requeue from step 5, retry 2 of 2"),
        (3, "failed with status 3"),
    ):
        ended, output = job.run(FAILS_LATER, **SINGLE)
        assert (ended, message in output) == (status, True), output
    assert job.calls().count("scontrol requeue 9") == 2
    for more, status in (({"SLURM_JOB_ID": "10"}, 0), ({"SLURM_JOB_ID": "11", "RETRIES": "0"}, 3)):  # of other jobs
        assert job.run(FAILS_LATER, **more)[0] == status
    (job.folder / "run/latest_checkpointed_iteration.txt").unlink()
    assert job.run(FAILS, SLURM_JOB_ID="12")[0] == 3
    assert [call for call in job.calls() if "requeue" in call][2:] == ["scontrol requeue 10"]


def test_a_job_tells_its_memory(job):
    """SLURM's MiB, in GB of 10^9 bytes."""
    assert "1 node(s), 0 GPU(s) each, 68 GB of memory" in job.run(FAILS, **SINGLE, SLURM_MEM_PER_NODE="65536")[1]
    by_core = {"SLURM_MEM_PER_CPU": "4096", "SLURM_CPUS_ON_NODE": "8"}
    assert "0 GPU(s) each, 34 GB of memory" in job.run(FAILS, **SINGLE, **by_core)[1]
    assert "0 GPU(s) each\n" in job.run(FAILS, **SINGLE)[1]


def test_a_folder_is_another_jobs_as_long_as_that_task_runs(job):
    (job.folder / "told/running").write_text("6_1 6_3 9")
    for other, status, message in (
        ("6_1", 2, f"job 6_1 trains in {job.folder}/run"),
        ("6_2", 3, "failed with status 3"),  # it has ended, others of its array have not
        ("9", 3, "failed with status 3"),  # this one, before it was requeued
    ):
        (job.folder / "run").mkdir(exist_ok=True)
        (job.folder / "run/slurm_job").write_text(f"{other}\n")
        ended, output = job.run(FAILS, **SINGLE)
        assert (ended, message in output) == (status, True), output


def test_the_environment_of_the_checkout_is_taken_where_an_active_one_has_no_ray(job):
    path = job.environment["PATH"].removeprefix(f"{job.folder}/ray:")
    conda = {"PATH": path, "CONDA_PREFIX": "/opt/conda", "VIRTUAL_ENV": "/opt/other", **SINGLE}
    status, output = job.run(FAILS, **conda)
    assert status == 2
    assert (
        "no ray in PATH: activate the environment of verl_dots before sbatch, make .venv, give VENV or IMAGE" in output
    )
    (job.folder / ".venv/bin").mkdir(parents=True)
    (job.folder / ".venv/bin/activate").write_text(f"PATH={job.folder}/ray:$PATH\n")
    assert job.run(FAILS, **conda)[0] == 3


def test_an_active_environment_with_ray_comes_before_that_of_the_checkout(job):
    (job.folder / ".venv/bin").mkdir(parents=True)
    (job.folder / ".venv/bin/activate").write_text("echo the wrong one; exit 1\n")
    assert job.run(FAILS, **SINGLE)[0] == 3


def test_a_folder_that_is_named_comes_before_an_active_environment(job):
    (job.folder / "gpu/bin").mkdir(parents=True)
    (job.folder / "gpu/bin/activate").write_text("echo the right one\n")
    status, output = job.run(FAILS, VENV="gpu", **SINGLE)
    assert (status, "the right one" in output) == (3, True), output
    status, output = job.run(FAILS, VENV="none", **SINGLE)
    assert (status, "VENV=none has no bin/activate; give the folder" in output) == (2, True), output


@pytest.mark.parametrize(
    ("recipe", "variables", "status"),
    [
        (FAILS, {"SLURM_GPUS_ON_NODE": "8"}, 2),
        (FAILS, {"SLURM_GPUS_ON_NODE": "8", "CUDA_TORCH": "yes"}, 3),
        (f"# device=cpu\n{FAILS}", {"SLURM_GPUS_ON_NODE": "8"}, 3),  # as the recipes of the testbed
        (FAILS, {}, 3),
    ],
)
def test_a_torch_for_cpus_ends_a_job_with_gpus_before_ray_starts(job, recipe, variables, status):
    ended, output = job.run(recipe, **SINGLE, **variables)
    told = f"torch of {job.folder}/ray/python is no build for the job's 8 GPU(s) a node: activate" in output
    assert (ended, told) == (status, status == 2), output
    assert any(call.startswith("srun ") for call in job.calls()) == (status == 3)


def test_with_an_image_all_that_needs_the_environment_runs_in_it(job):
    enter = f'export PATH={job.folder}/ray:$PATH IN_IMAGE=yes\nshift 5\nexec "$@"\n'
    programs(job.folder / "bin", {"apptainer": enter})
    outside = {"PATH": job.environment["PATH"].removeprefix(f"{job.folder}/ray:"), "IMAGE": "verl_dots.sif", **SINGLE}
    status, output = job.run('[ "$IN_IMAGE" = yes ] && which ray && exit 3\n', **outside)
    assert (status, f"{job.folder}/ray/ray" in output) == (3, True), output
    calls = job.calls()
    inside = f"apptainer exec --nv --bind {job.folder} verl_dots.sif"
    assert f"{inside} python recipes/slurm/cluster.py wait n1" in calls
    assert any(call.startswith("srun ") and call.endswith(f"{inside} bash recipes/slurm/node.sh") for call in calls)


def test_an_image_sees_every_folder_that_a_recipe_or_ray_is_told_of(job):
    programs(job.folder / "bin", {"apptainer": "exit 255\n"})
    names = ("DATA", "MODEL", "PREDICTOR", "BACKBONE", "CACHE", "HF_HOME", "RAY_TMPDIR")
    job.run(FAILS, IMAGE="verl_dots.sif", **{name: f"/elsewhere/{name}" for name in names}, **SINGLE)
    (tried,) = [call for call in job.calls() if call.startswith("apptainer exec")]
    assert [name for name in names if f"--bind /elsewhere/{name} " not in tried] == []


def test_an_image_that_does_not_run_is_told(job):
    programs(job.folder / "bin", {"apptainer": "echo 'no such file' >&2; exit 255\n"})
    status, output = job.run(FAILS, IMAGE="absent.sif", **SINGLE)
    assert (status, "apptainer does not run IMAGE=absent.sif" in output) == (2, True)
    assert not (job.folder / "run/begun").exists()
