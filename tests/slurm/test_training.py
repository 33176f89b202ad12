"""A training run on two nodes of a real SLURM that is saved and requeued in the middle is the run that was not."""

import json
import time

import pytest

from tests.launches import assert_same_rows, computed, rows_of
from tests.slurm.conftest import PATIENCE_SECONDS

pytestmark = [pytest.mark.slurm, pytest.mark.long, pytest.mark.e2e, pytest.mark.timeout(2400)]

RECIPE = "recipes/cpu/grpo.sh"
STEPS = 5
OVERRIDES = (
    "data.max_prompt_length=112", "data.max_response_length=24", "actor_rollout_ref.rollout.n=4",
    "trainer.val_before_train=False", "trainer.test_freq=-1", "trainer.save_freq=1000",
)  # fmt: skip


def submit(slurm, inputs, folder) -> str:
    environment = {"DATA": str(inputs.data), "MODEL": str(inputs.model), "STEPS": str(STEPS), "RUN": str(folder)}
    options = ["--nodes=2", "--cpus-per-task=2", "--time=50"]
    return slurm.submit(options, RECIPE, *OVERRIDES, **environment)


def wait_for_step(slurm, job, folder, step) -> None:
    """Until the run has logged a step."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (folder / "metrics.jsonl").exists() or step not in rows_of(folder):
        state = slurm.job(job)["JobState"]
        assert state in ("PENDING", "CONFIGURING", "RUNNING"), f"{state}: {slurm.output(job)[-3000:]}"
        assert time.monotonic() < deadline, slurm.output(job)[-3000:]
        time.sleep(0.2)


def test_a_requeued_run_is_the_same_run_bit_for_bit(slurm, inputs, tmp_path):
    straight = submit(slurm, inputs, tmp_path / "straight")
    # One after the other: together they need more memory than a laptop has.
    assert slurm.wait(straight)["JobState"] == "COMPLETED", slurm.output(straight)[-3000:]

    job = submit(slurm, inputs, tmp_path / "cut")
    wait_for_step(slurm, job, tmp_path / "cut", 2)
    # What SLURM sends before the time limit, as --signal=B:USR1@600 says.
    slurm.call("scancel", "--batch", "--signal=USR1", job)
    ended = slurm.wait(job)
    assert (ended["JobState"], ended["Restarts"]) == ("COMPLETED", "1"), slurm.output(job)[-3000:]

    run = json.loads((tmp_path / "cut" / "run.json").read_text())
    assert 2 <= run["resumed_step"] < STEPS
    assert run["finished"]
    assert f"saved at step {run['resumed_step']}; requeue" in slurm.output(job)
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS + 1))  # none lost, none twice
    whole, resumed = rows_of(tmp_path / "straight"), rows_of(tmp_path / "cut")
    assert sorted(whole) == sorted(resumed)
    assert all(len(computed(row)) > 60 for row in whole.values())
    assert_same_rows(tmp_path / "cut", tmp_path / "straight", whole)
