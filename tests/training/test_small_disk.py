"""Disks that are full, read-only or slow, in real mounts of some hundred kilobytes: what a run leaves on them."""

import errno
import json
import os
import shutil
import subprocess
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from tests.refusals import refused
from tests.run_on_disk import own_checkpoint, run_config, stock_checkpoint
from verl_dots.bridge.trainer.patience import ADVICE, Patience, WaitError
from verl_dots.checkpoints import Needs, checkpoints_in, faults, set_aside, tracked
from verl_dots.journal import Journal
from verl_dots.launch.machine_checks import try_writing
from verl_dots.state import save_state
from verl_dots.training.disk_space import DiskFullError, require_room_to_begin
from verl_dots.training.run_folder import RunFolder
from verl_dots.training.saving import save_whole

CONFIG = OmegaConf.create({"trainer": {"experiment_name": "grpo"}, "dots": {"seed": 3}})
KILOBYTES = 512


def mounted(folder, *options):
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    return subprocess.run(["mount", *options, str(folder)], capture_output=True, timeout=60).returncode == 0


@pytest.fixture
def disk(tmp_path):
    """A file system of 512 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted(folder, "-t", "tmpfs", "-o", f"size={KILOBYTES}k", "tmpfs"):
        pytest.skip("file systems can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=60)


def fill(disk):
    """Leave no room; the file that takes it."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return path


def test_rows_on_a_full_disk_end_the_run_with_the_file_and_a_resume_mends_it(disk):
    folder = RunFolder(disk, CONFIG, resumed_step=0)
    folder.log({"timing_s/step": 1.0}, step=1)
    filler = fill(disk)
    row = {f"metric/{number}": 0.123456789 for number in range(300)}
    with pytest.raises(OSError) as raised:
        for step in range(2, 9):
            folder.log(row, step)
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(disk / "metrics.jsonl")
    filler.unlink()
    RunFolder(disk, CONFIG, resumed_step=1).log({"timing_s/step": 1.0}, step=2)
    told = [json.loads(line) for line in (disk / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in told][0] == 1 and told[-1]["step"] == 2


def test_a_checkpoint_that_the_disk_has_no_room_for_is_none_and_the_last_one_stays(disk):
    """The estimate is of the last one, which was small: the room ends in the middle of a file."""
    run = disk / "run"
    own_checkpoint(run, 2)

    def write(folder):
        stock_checkpoint(run, 4)
        torch.save(torch.zeros(KILOBYTES * 256), folder / "actor" / "model_world_size_1_rank_0.pt")

    with pytest.raises(DiskFullError, match=f"the disk of {run} is full: global_step_4 needs about"):
        save_whole(run, 4, run_config(run), Needs(), write)
    assert [folder.name for folder in checkpoints_in(run)] == ["global_step_2"]
    assert faults(run / "global_step_2", Needs()) == []


def test_a_start_is_refused_where_the_first_checkpoint_of_a_model_of_the_hub_has_no_room(disk):
    """494,032,768 parameters of 12 bytes; a run that saves nothing needs none of them."""
    run = disk / "run"
    config = run_config(run, actor_rollout_ref__model__path="Qwen/Qwen2.5-0.5B")
    with refused("trainer.default_local_dir", "machine", str(run), "5,928,393,216 bytes"):
        require_room_to_begin(run, config, Needs())
    OmegaConf.update(config, "trainer.save_freq", -1)
    require_room_to_begin(run, config, Needs())


def test_a_state_and_a_journal_on_a_full_disk_stay_as_they_were(disk):
    class Numbers(Journal):
        def line_of(self, key, value):
            return {"key": key, "value": value}

        def read_line(self, line):
            return line["key"], line["value"]

    (disk / "state").write_text("old")
    with Numbers(disk / "journal", {"a": 1}) as journal:
        journal.add("one", "1")
        fill(disk)
        for write in (lambda: (disk / "more").write_bytes(b""), lambda: journal.add("two", "2" * 10_000)):
            try:
                write()
            except OSError as error:
                assert error.errno == errno.ENOSPC
                told = error.filename
        assert told == str(disk / "journal")
        with pytest.raises(OSError):
            _save(disk / "state")
        os.unlink(disk / "filler")
    assert (disk / "state").read_text() == "old" and sorted(os.listdir(disk))[-1] == "state"
    assert Numbers(disk / "journal", {"a": 1}).done["one"] == "1"


def _save(path):
    import numpy as np

    try:
        save_state(path, "stage", {"a": np.zeros(10_000)})
    except Exception as error:
        raise OSError(str(error)) from error


def test_a_read_only_folder_is_refused_before_a_run_and_ends_one_with_the_file(disk):
    folder, run = RunFolder(disk, CONFIG, resumed_step=0), disk / "run"
    own_checkpoint(run, 2)
    assert mounted(disk, "-o", "remount,ro")
    try:
        with refused("trainer.default_local_dir", "file", str(run), "Read-only file system"):
            try_writing("trainer.default_local_dir", str(run))
        with pytest.raises(OSError, match="Read-only file system.*metrics.jsonl"):
            folder.log({}, step=1)
        with pytest.raises(OSError, match="Read-only file system"):
            save_whole(run, 4, run_config(run), Needs(), lambda folder: stock_checkpoint(run, 4))
        assert faults(run / "global_step_2", Needs()) == [] and tracked(run) == 2
    finally:
        assert mounted(disk, "-o", "remount,rw")


def test_a_slow_disk_is_waited_for(tmp_path):
    """Bytes of a checkpoint that come one by one, through a pipe, make a whole one in the end."""
    run, pipe = tmp_path / "run", tmp_path / "pipe"
    os.mkfifo(pipe)

    def drip():
        with pipe.open("wb", buffering=0) as file:
            for _ in range(20):
                time.sleep(0.02)
                file.write(b"x" * 100)

    def write(folder):
        stock_checkpoint(run, 2)
        with pipe.open("rb") as slow, (folder / "actor" / "slow").open("wb") as file:
            shutil.copyfileobj(slow, file)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    save_whole(run, 2, run_config(run), Needs(), write)
    thread.join(10)
    assert (run / "global_step_2" / "actor" / "slow").stat().st_size == 2000
    assert faults(run / "global_step_2", Needs()) == [] and tracked(run) == 2


@pytest.mark.usefixtures("cpu_environment")
def test_a_disk_that_stands_still_ends_the_run_at_its_patience_and_the_last_checkpoint_stays(tmp_path):
    from verl_dots.bridge.trainer.patient_trainer import PatientTrainer

    run, pipe = tmp_path / "run", tmp_path / "pipe"
    own_checkpoint(run, 2)
    os.mkfifo(pipe)  # of which nobody writes the other end

    def write(folder):
        (folder / "actor").mkdir(parents=True)
        (folder / "actor" / "model_world_size_1_rank_0.pt").write_bytes(pipe.read_bytes())

    trainer = SimpleNamespace(global_steps=4, undisturbed=nullcontext, patience=Patience(0.5, ADVICE))
    told, began = f"waited 0.5 s for the checkpoint of step 4 to be written; {ADVICE}", time.monotonic()
    with pytest.raises(WaitError) as raised, PatientTrainer.saving(trainer):
        save_whole(run, 4, run_config(run), Needs(), write)
    assert str(raised.value) == told and time.monotonic() - began < 30
    assert faults(run / "global_step_4", Needs()) != []
    assert faults(run / "global_step_2", Needs()) == [] and tracked(run) == 2


def test_a_clock_that_stands_still_or_steps_back_overwrites_nothing(tmp_path, monkeypatch):
    for module in ("verl_dots.checkpoints", "verl_dots.training.run_folder"):
        monkeypatch.setattr(f"{module}.time.time", lambda: 1_000_000.0)
        monkeypatch.setattr(f"{module}.time.strftime", lambda form, at=None: "20260101-000000")
    for number in range(3):
        RunFolder(tmp_path, CONFIG, resumed_step=0).log({"number": number}, step=1)
        own_checkpoint(tmp_path, 2)
        set_aside(tmp_path, 0)
    kept = sorted(tmp_path.glob("metrics.1000000*.jsonl"))
    assert [json.loads(file.read_text())["number"] for file in kept] == [1, 0]  # "-2" sorts before the ending
    aside = sorted(tmp_path.glob("superseded-*"))
    assert len(aside) == 3 and all((folder / "global_step_2" / "data.pt").is_file() for folder in aside)
