"""recipes/slurm/run.sbatch in jobs of a real SLURM, with recipes that do something else than train.

All jobs are submitted at once; SLURM runs them as there is room on its two nodes.
"""

import json
from pathlib import Path

import psutil
import pytest

from tests.launches import ROOT

pytestmark = [pytest.mark.slurm, pytest.mark.long]

# Tells what a recipe finds; with SIBLING, not before the other one is in its cluster too.
PROBE = """
python - "$@" <<'PYTHON'
import json, os, pathlib, sys, time
import ray

ray.init(log_to_driver=False)
here = ray.remote(num_cpus=0)(lambda: (os.environ["SLURMD_NODENAME"], os.getcwd()))
names = sorted(name for name in ray.cluster_resources() if name.startswith("slurm-"))
file = pathlib.Path(os.environ["RUN"], "probe.json")
told = {
    "overrides": sys.argv[1:],
    "seed": os.environ["SEED"],
    "address": os.environ["RAY_ADDRESS"],
    "places": ray.get([here.options(resources={name: 0.1}).remote() for name in names]),
    "resources": ray.cluster_resources(),
}
file.write_text(json.dumps(told))
sibling = pathlib.Path(os.environ.get("SIBLINGS", ""), "seed-" + str(3 - int(told["seed"])))
if os.environ.get("SIBLINGS"):
    sibling.with_name("seed-" + told["seed"]).touch()
    deadline = time.monotonic() + 300
    while not sibling.exists():
        assert time.monotonic() < deadline, "the other job did not come"
        time.sleep(0.2)
PYTHON
"""
ABSENT_NODE = '! JOIN_SECONDS=2 python recipes/slurm/cluster.py wait "$SLURMD_NODENAME" n9 2> "$RUN/absent"\n'
FAILS = "exit 3\n"
# A run that makes a step a second, saves only when asked to, and is complete once it was started a second time.
RESUMES = """
step=$(cat "$RUN/latest_checkpointed_iteration.txt" 2>/dev/null || echo 0)
echo "resumed at $step" >> "$RUN/told"
[ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] || { echo '{"finished": "now"}' > "$RUN/run.json"; exit 0; }
echo '{"finished": null}' > "$RUN/run.json"
while :; do
    sleep 1
    step=$((step + 1))
    if [ -e "$RUN/stop" ]; then
        echo $step > "$RUN/latest_checkpointed_iteration.txt"
        echo "saved at $step" >> "$RUN/told"
        exit 0
    fi
done
"""
# Fails behind its checkpoint, and is complete when it is started again.
RECOVERS = """
[ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] || { echo '{"finished": "now"}' > "$RUN/run.json"; exit 0; }
echo 5 > "$RUN/latest_checkpointed_iteration.txt"
exit 3
"""
DEAF = 'touch "$RUN/begun"; sleep 600\n'


def recipe(folder: Path, name: str, text: str) -> Path:
    file = folder / f"{name}.sh"
    file.write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{text}")
    return file


@pytest.fixture(scope="module")
def jobs(slurm, tmp_path_factory):
    """Ids of all jobs by name, and their folders."""
    folder = tmp_path_factory.mktemp("jobs")
    options = ["--cpus-per-task=2", "--time=10", "--signal=B:USR1@60"]
    soon = ["--cpus-per-task=2", "--time=6", "--signal=B:USR1@240"]  # 1 to 2 minutes after the start
    late = {"KILL_SECONDS": "600"}  # the time is over as soon as the signal comes
    wanted = {
        "probe": (["--nodes=2", *options], PROBE + ABSENT_NODE, {}),
        "array": (["--array=1-2", *options], PROBE, {"SIBLINGS": str(folder)}),
        "fails": (options, FAILS, {}),
        "recovers": (options, RECOVERS, {}),
        "resumes": (["--array=1-2", *soon], RESUMES, {}),
        "intruder": (["--cpus-per-task=1"], FAILS, {}),
        "deaf": (soon, DEAF, late),
    }
    ids: dict[str, str] = {}
    for name, (choice, text, more) in wanted.items():
        run = folder / name
        if name == "intruder":
            # One CPU of each node is free for a second job in the folder of another, which is running then. It is
            # submitted before what must wait for a node: SLURM starts jobs in their order.
            run, choice = folder / "resumes-seed1", [*choice, f"--dependency=after:{ids['resumes']}_1"]
        ids[name] = slurm.submit(choice, recipe(folder, name, text), "word", "x=1", RUN=str(run), **more)
    return folder, ids


def left_over(job: str) -> list[str]:
    """Command lines of a job's Ray processes, and its files."""
    mark = f"/ray-{job}."
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if mark in line] + [str(path) for path in Path("/tmp").glob(f"ray-{job}.*")]


def test_a_recipe_finds_a_ray_cluster_of_all_nodes(slurm, jobs):
    folder, ids = jobs
    assert slurm.wait(ids["probe"])["JobState"] == "COMPLETED", slurm.output(ids["probe"])
    told = json.loads((folder / "probe" / "probe.json").read_text())
    assert told["places"] == [["n1", str(ROOT)], ["n2", str(ROOT)]]
    # Without GPUs: a logical one for each node's worker and another; 3 CPUs for each and 10.
    assert (told["resources"]["GPU"], told["resources"]["CPU"]) == (4, 32)
    ray_init = "++ray_kwargs.ray_init"
    assert told["overrides"] == [
        "word", "trainer.nnodes=2", f"{ray_init}.num_cpus=null", f"{ray_init}.num_gpus=null",
        f"{ray_init}.object_store_memory=null", "x=1",
    ]  # fmt: skip
    assert told["seed"] == "1"
    assert left_over(ids["probe"]) == []


def test_a_node_that_does_not_join_is_named_after_a_bounded_wait(slurm, jobs):
    folder, ids = jobs
    slurm.wait(ids["probe"])
    assert "1 of 2 nodes joined Ray within 2 s, without n9; see ray-node*.log" in (folder / "probe/absent").read_text()


def test_an_array_trains_one_seed_a_task_and_clusters_on_one_machine_do_not_meet(slurm, jobs):
    folder, ids = jobs
    told = {}
    for seed in (1, 2):
        assert slurm.wait(f"{ids['array']}_{seed}")["JobState"] == "COMPLETED", slurm.output(f"{ids['array']}_{seed}")
        told[seed] = json.loads((folder / f"array-seed{seed}" / "probe.json").read_text())
    assert [told[seed]["seed"] for seed in (1, 2)] == ["1", "2"]
    assert sorted(told[seed]["places"][0][0] for seed in (1, 2)) == ["n1", "n2"]
    assert [told[seed]["resources"]["GPU"] for seed in (1, 2)] == [2, 2]
    assert told[1]["address"] != told[2]["address"]


def test_a_failing_recipe_ends_the_job_with_its_status_and_leaves_nothing(slurm, jobs):
    _, ids = jobs
    job = slurm.wait(ids["fails"])
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "3:0", "0")
    assert "failed with status 3" in slurm.output(ids["fails"])
    assert left_over(ids["fails"]) == []


def test_a_run_that_fails_behind_a_checkpoint_is_requeued(slurm, jobs):
    _, ids = jobs
    job = slurm.wait(ids["recovers"])
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), slurm.output(ids["recovers"])
    assert "requeue from step 5, retry 1 of 2" in slurm.output(ids["recovers"])
    assert left_over(ids["recovers"]) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_before_the_time_limit_each_task_of_an_array_saves_and_is_requeued_alone(slurm, jobs, seed):
    """The last task has the array's own job id: by that SLURM would requeue its sibling with it."""
    folder, ids = jobs
    task, run = f"{ids['resumes']}_{seed}", folder / f"resumes-seed{seed}"
    job = slurm.wait(task)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), slurm.output(task)
    begun, saved, resumed = (run / "told").read_text().splitlines()
    step = saved.removeprefix("saved at ")
    assert (begun, resumed) == ("resumed at 0", f"resumed at {step}")
    output = slurm.output(task)
    assert output.index("asked the run to save and stop") < output.index(f"saved at step {step}; requeue")
    assert not (run / "stop").exists()
    assert (run / "slurm_job").read_text().strip() == task
    assert left_over(job["JobId"]) == []


def test_a_run_that_has_saved_nothing_is_ended_and_not_requeued(slurm, jobs):
    folder, ids = jobs
    job = slurm.wait(ids["deaf"])
    assert (job["JobState"], job["Restarts"]) == ("FAILED", "0"), slurm.output(ids["deaf"])
    assert (folder / "deaf" / "begun").exists()
    assert "did not end by itself in time" in slurm.output(ids["deaf"])
    assert "no checkpoint since the job began (newest: step 0)" in slurm.output(ids["deaf"])
    assert left_over(ids["deaf"]) == []


def test_two_jobs_do_not_train_in_one_folder(slurm, jobs):
    folder, ids = jobs
    job = slurm.wait(ids["intruder"])
    assert (job["JobState"], job["ExitCode"]) == ("FAILED", "2:0"), slurm.output(ids["intruder"])
    assert f"job {ids['resumes']}_1 trains in {folder / 'resumes-seed1'}" in slurm.output(ids["intruder"])
