"""SIGTERM and Ctrl-C to a run that trains: what is saved, what is left over, and how it resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.launches import PATIENCE_SECONDS, ROOT, environment, must_train, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]


class Started:
    """A run of five steps that saves when it is asked to alone, with the processes below it."""

    def __init__(self, inputs, folder: Path):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "verl_dots.main", *overrides(inputs, folder)],
            cwd=ROOT, env=environment(), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def wait_for_row(self, step: int) -> None:
        while not (self.folder / "metrics.jsonl").exists() or step not in rows_of(self.folder):
            assert self.process.poll() is None, self.process.communicate()[0][-4000:]
            time.sleep(0.1)
        self.below = psutil.Process(self.process.pid).children(recursive=True)
        assert any("raylet" in process.name() for process in self.below)

    def end(self) -> tuple[int, str]:
        """Its status and its output; nothing of it is left."""
        output = self.process.communicate(timeout=PATIENCE_SECONDS)[0]
        assert [process for process in self.below if process.is_running()] == []
        return self.process.returncode, output


def overrides(inputs, folder):
    return inputs.without_validation(folder, 5, {"trainer.save_freq": 100, "dots.console": "lines"})


def test_sigterm_saves_ctrl_c_ends_and_the_same_command_resumes(inputs, tmp_path):
    run = tmp_path / "run"
    first = Started(inputs, run)
    first.wait_for_row(1)
    os.killpg(first.process.pid, signal.SIGTERM)  # as `timeout` does it; Ray's daemons must outlive it
    status, output = first.end()
    assert status == 143, output
    saved = int((run / "latest_checkpointed_iteration.txt").read_text())
    assert 2 <= saved < 5 and (run / f"global_step_{saved}").is_dir()
    assert f"stopped after step {saved} of 5, as asked; the same command resumes from step {saved} in {run}" in output
    assert "Traceback" not in output
    assert not (run / "stop").exists()

    second = Started(inputs, run)
    second.wait_for_row(saved + 1)
    os.killpg(second.process.pid, signal.SIGINT)
    status, output = second.end()
    assert status == 130, output
    assert f"verl_dots: ended by SIGINT; the same command resumes from step {saved} in {run}" in output
    assert "Traceback" not in output

    output = must_train(overrides(inputs, run))
    assert "complete: step 5 of 5 after" in output
    assert sorted(rows_of(run)) == [1, 2, 3, 4, 5]
    assert json.loads((run / "run.json").read_text())["resumed_step"] == saved
