"""The folder in which Ray's workers work; in a real Ray: tests/training/test_task_runner.py."""

import os
from pathlib import Path

from ray._common.utils import load_class
from ray.runtime_env import RuntimeEnv

from verl_dots.processes.working_folder import ENTER, FOLDER, HOOK


def test_a_worker_goes_to_the_folder_where_its_machine_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # and back, at the end
    enter = load_class(ENTER)  # as Ray finds it
    (tmp_path / "command").mkdir()
    for name, folder in (("command", "command"), ("nowhere", "command")):
        monkeypatch.setenv(FOLDER, str(tmp_path / name))
        enter()
        assert Path(os.getcwd()) == tmp_path / folder


def test_ray_knows_the_hook():
    assert RuntimeEnv(**{HOOK: ENTER})[HOOK] == ENTER
