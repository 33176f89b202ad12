"""The task runner in a real Ray: it is started by verl's `run_ppo`, or its start ends where Ray has no place for it."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray
from omegaconf import OmegaConf

from tests.launches import PATIENCE_SECONDS, environment
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


# In a process of its own: one that was in another Ray before loses its first actors here.
JOINS = """
import json, sys
from pathlib import Path
import ray
from omegaconf import OmegaConf
from verl.trainer.main_ppo import run_ppo
from verl_dots.launch.start import prepare_workers
from verl_dots.settings import ConfigError
from verl_dots.training.task_runner import PlacedTaskRunner

class Runner:
    def run(self, config):
        Path("told").write_text("run")

how, run, config = sys.argv[1], Path(sys.argv[2]), OmegaConf.create(json.loads(sys.argv[3]))
if how == "enters":
    prepare_workers(config, {})
folder = run.absolute() if how == "absolute" else run
try:
    run_ppo(config, task_runner_class=PlacedTaskRunner(ray.remote(num_cpus=1)(Runner), 120.0, folder))
except ConfigError as error:
    sys.exit(f"{error.key} {error.reason} {error}")
"""


@pytest.mark.parametrize(("how", "works"), [("enters", "here"), ("stays", ""), ("absolute", "elsewhere")])
def test_on_a_ray_that_was_started_elsewhere_the_run_is_in_the_folder_of_the_command(ray_elsewhere, how, works):
    """`told` is a relative path, as that of a run folder may be. Where the workers cannot go there it is refused."""
    folders = dict(zip(("elsewhere", "here"), ray_elsewhere, strict=True))
    command = [sys.executable, "-c", JOINS, how, str(RUN), json.dumps(CONFIG)]
    done = subprocess.run(
        command, cwd=folders["here"], env=environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == (not works), done.stderr
    assert [name for name, folder in folders.items() if (folder / "told").exists()] == [works] * bool(works)
    if not works:
        assert "trainer.default_local_dir machine" in done.stderr
        assert all(str(folder / RUN) in done.stderr for folder in folders.values())
