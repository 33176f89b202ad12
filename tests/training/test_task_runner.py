"""The task runner in a real Ray: it is started by verl's `run_ppo`, or its start ends where Ray has no place for it."""

import re
import time
from pathlib import Path

import pytest
import ray
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.bridge.trainer.patience import WaitError

pytestmark = pytest.mark.usefixtures("cpu_environment")

CONFIG = {
    "actor_rollout_ref": {"rollout": {"full_determinism": False}},
    "reward": {"reward_model": {"enable": False, "rollout": {"full_determinism": False}}},
    "trainer": {"logger": []},
    "global_profiler": {"tool": None},
    "ray_kwargs": {"ray_init": {"log_to_driver": False}},
    "transfer_queue": {"enable": False},
}
RUN = Path("run")


def runner_class():
    """Ray's class of a task runner that writes a file; no module of the tests', which its workers do not know."""

    class Runner:
        def run(self, config):
            Path(config.told).write_text("run")

    return ray.remote(num_cpus=1)(Runner)


@pytest.fixture
def held():
    """A Ray whose only CPU somebody has, and who."""
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    holder = runner_class().remote()
    ray.get(holder.__ray_ready__.remote(), timeout=120)
    yield holder
    ray.shutdown()


def test_a_start_without_a_free_cpu_ends_and_one_with_one_runs(held, tmp_path):
    from verl.trainer.main_ppo import run_ppo

    from verl_dots.training.task_runner import PlacedTaskRunner

    config = OmegaConf.create(CONFIG | {"told": str(tmp_path / "told")})
    began = time.monotonic()
    told = "waited 2 s for Ray to start the task runner; 0 of 1 CPUs are free. `ray status`"
    with pytest.raises(WaitError, match=f"^{re.escape(told)}.*raise dots.patience_seconds"):
        run_ppo(config, task_runner_class=PlacedTaskRunner(runner_class(), 2.0, RUN))
    assert time.monotonic() - began < 60 and not (tmp_path / "told").exists()
    ray.kill(held)
    started = PlacedTaskRunner(runner_class(), 120.0, RUN)
    run_ppo(config, task_runner_class=started)
    assert (tmp_path / "told").read_text() == "run"
    named = started.options(name="task runner").remote()  # as verl gives it a runtime_env for nsys
    assert ray.get_actor("task runner") == named


@pytest.mark.parametrize("enters", [True, False])
def test_on_a_ray_that_was_started_elsewhere_the_run_is_in_the_folder_of_the_command(ray_elsewhere, enters):
    """`told` is a relative path, as that of a run folder may be. Where the workers cannot go there it is refused."""
    from verl.trainer.main_ppo import run_ppo

    from verl_dots.launch.start import prepare_workers
    from verl_dots.training.task_runner import PlacedTaskRunner

    elsewhere, here = ray_elsewhere
    config = OmegaConf.create(CONFIG | {"told": "told"})
    if enters:
        prepare_workers(config, {})
        run_ppo(config, task_runner_class=PlacedTaskRunner(runner_class(), 120.0, RUN))
        assert (here / "told").read_text() == "run" and not (elsewhere / "told").exists()
        return
    with refused("trainer.default_local_dir", "machine", str(elsewhere / RUN), str(here / RUN)):
        run_ppo(config, task_runner_class=PlacedTaskRunner(runner_class(), 120.0, RUN))
    assert not (elsewhere / "told").exists()
    run_ppo(config, task_runner_class=PlacedTaskRunner(runner_class(), 120.0, here / RUN))  # an absolute path is one
    assert (elsewhere / "told").exists()
