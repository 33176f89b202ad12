"""Processes of a run that die or stand still: the run ends, says why, and has saved what it had learnt."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.launches import PATIENCE_SECONDS, ROOT, environment
from tests.training.test_signals_end_to_end import Started, overrides

pytestmark = [pytest.mark.e2e, pytest.mark.long]


class Disturbed(Started):
    """A run of which one process gets a signal after its first step."""

    def __init__(self, inputs, folder, **settings):
        self.folder = folder
        more = [f"{key.replace('__', '.')}={value}" for key, value in settings.items()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "verl_dots.main", *overrides(inputs, folder), *more],
            cwd=ROOT, env=environment(), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def send(self, name: str, number: signal.Signals) -> None:
        self.wait_for_row(1)
        found = [process for process in self.below if name in " ".join(process.cmdline())]
        assert found, [" ".join(process.cmdline()) for process in self.below]
        for process in found:
            process.send_signal(number)

    def end(self) -> tuple[int, str]:
        output = self.process.communicate(timeout=PATIENCE_SECONDS)[0]
        assert [process for process in self.below if process.is_running() and process.status() != "zombie"] == []
        return self.process.returncode, output

    def saved(self) -> int:
        return int((self.folder / "latest_checkpointed_iteration.txt").read_text())


def test_an_engine_that_dies_ends_the_run_which_is_saved(inputs, tmp_path):
    run = Disturbed(inputs, tmp_path / "run")
    run.send("EngineServer", signal.SIGKILL)
    status, output = run.end()
    assert status == 1 and run.saved() >= 1, output
    assert "failed: RolloutFailure" in output and "ActorDied" in output


def test_agent_loops_that_stand_still_end_the_run_with_what_it_waited_for(inputs, tmp_path):
    run = Disturbed(inputs, tmp_path / "run", dots__patience_seconds=150)
    run.send("AgentLoopWorker", signal.SIGSTOP)
    status, output = run.end()
    assert status == 1 and run.saved() >= 1, output
    assert "waited 150 s for" in output and "raise dots.patience_seconds" in output


REWARD = """
import os
answered = []

def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    answered.append(1)
    if len(answered) > 32:  # of the first step
        os._exit(1)
    return float(len(answered) % 2)
"""


def test_a_reward_that_ends_its_process_ends_the_run_which_is_saved(inputs, tmp_path):
    (tmp_path / "reward.py").write_text(REWARD)
    more = {"reward__custom_reward_function__path": tmp_path / "reward.py", "reward__num_workers": 1}
    run = Disturbed(inputs, tmp_path / "run", **more)
    run.wait_for_row(1)
    status, output = run.end()
    assert status == 1 and run.saved() == 1, output
    assert "failed: RolloutFailure" in output and "ActorDied" in output


KILLS = """
import signal
import psutil
answered = []

def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    answered.append(1)
    if len(answered) == 65:  # the first of the validation after two steps of 32
        for process in psutil.Process().parent().children():
            if "EngineServer" in " ".join(process.cmdline()):
                process.send_signal(signal.SIGKILL)
    return float(len(answered) % 2)
"""


def test_an_engine_that_dies_in_a_validation_ends_the_run_with_its_step_saved(inputs, tmp_path):
    (tmp_path / "reward.py").write_text(KILLS)
    more = {"reward__custom_reward_function__path": tmp_path / "reward.py", "reward__num_workers": 1}
    run = Disturbed(inputs, tmp_path / "run", trainer__test_freq=2, **more)
    run.wait_for_row(1)
    status, output = run.end()
    assert status == 1 and run.saved() == 2, output
    assert "the same command resumes from step 2" in output and "ActorDied" in output


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    for process in psutil.Process().children(recursive=True):
        process.kill()
