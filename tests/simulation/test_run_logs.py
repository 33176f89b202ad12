"""What is read of a run folder."""

import json

import numpy as np
import pytest

from tests.reporting.conftest import write_run  # noqa: F401  a fixture
from verl_dots.simulation.fit import fit
from verl_dots.simulation.pool import Measured
from verl_dots.simulation.response import Learning
from verl_dots.simulation.run_logs import read_run_log

SETTINGS = {
    "data": {"train_batch_size": 8},
    "actor_rollout_ref": {"rollout": {"n": 4, "temperature": 1.0}},
    "dots": {"selection": {"enable": False}},
}


def logged(step):
    return {"training/effective_groups": step / 10, "training/reward": step / 20}


@pytest.mark.parametrize(
    ("kept", "effective"),
    [
        (range(6), [0.1, 0.2, 0.3, 0.4, 0.5]),
        ((0, 1, 2, 4, 5), [0.1, 0.2, np.nan, 0.4, 0.5]),  # a damaged line was skipped
        ((3, 4, 5), [np.nan, np.nan, 0.3, 0.4, 0.5]),  # the rows before are lost
    ],
)
def test_a_step_without_a_row_keeps_its_place(write_run, kept, effective):  # noqa: F811
    folder = write_run("grpo", 1, {0: 0.25, 5: 0.5}, settings=SETTINGS, metrics=logged)
    file = folder / "metrics.jsonl"
    lines = [line for line in file.read_text().splitlines() if json.loads(line)["step"] in kept]
    file.write_text("\n".join(lines) + "\n")
    log = read_run_log(folder)
    assert log.effective_S.tolist() == pytest.approx(effective, nan_ok=True)
    assert log.reward_S.tolist() == pytest.approx([share / 2 for share in effective], nan_ok=True)
    assert log.accuracy == ({0: 0.25, 5: 0.5} if 0 in kept else {5: 0.5})
    pool = Measured(np.full(50, 0.5), np.full(50, 8.0), (1.0, 1.0))
    assert fit([log], pool, Learning()).validation is not None  # its accuracies are of steps, too


@pytest.mark.parametrize("key", ["dots.refill.enable", "algorithm.filter_groups.enable"])
def test_a_run_that_chooses_among_its_groups_is_no_uniform_one(write_run, key):  # noqa: F811
    """verl's dynamic sampling trains on effective groups alone: its log would fit a pool of these."""
    group, *name = key.split(".")
    chosen = {name[0]: {name[1]: True}}
    settings = SETTINGS | {group: SETTINGS.get(group, {}) | chosen}
    curve = {0: 0.25, 5: 0.5}
    assert not read_run_log(write_run("dapo", 1, curve, settings=settings, metrics=logged)).uniform
    assert read_run_log(write_run("grpo", 1, curve, settings=SETTINGS, metrics=logged)).uniform
