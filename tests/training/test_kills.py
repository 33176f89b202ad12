"""What is on disk of a run that is killed at random moments, by SIGKILL to a real process: nothing is lost.

Steps of numpy in place of the training, and all else as the trainer does it: the checkpoint is found, its states are
read, the row is written, the checkpoint saved, old ones removed. With Ray and verl `scripts.fault_test` does the same.
"""

import os
import signal
import time
import traceback

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torchdata.stateful_dataloader import StatefulDataLoader

from scripts.faults.compare import differences, rows_of
from tests.run_on_disk import run_config
from verl_dots.checkpoints import RECORD, checkpoints_in, faults, step_of
from verl_dots.manifest import MANIFEST
from verl_dots.state import load_state, save_state
from verl_dots.training import origin
from verl_dots.training.resume import find_checkpoint, repair_tracker, saved_by
from verl_dots.training.run_folder import RunFolder
from verl_dots.training.run_record import RunRecord, load_record, save_record
from verl_dots.training.saving import save_whole

STEPS, TOKENS, MOST_KILLS = 4, 40, 12
LOADER = StatefulDataLoader([0]).state_dict()  # made once: no process pays for it


class SmallRun:
    """Weights that a seeded generator moves; a row and a checkpoint a step.

    Args:
        folder: of the run.
        forget: do not restore the generator, a fault that the comparison must see.
        steps: of the run.
    """

    def __init__(self, folder, forget=False, steps=STEPS):
        self.folder, self.forget, self.steps = folder, forget, steps
        self.config = run_config(folder, trainer__max_actor_ckpt_to_keep=2)
        self.generator = np.random.default_rng(7)
        self.weight = torch.zeros(20_000, dtype=torch.float64)

    def go(self):
        """Train from the newest checkpoint to the end."""
        found = find_checkpoint(self.config)
        repair_tracker(self.config, found)
        begin, record = 0, None
        if found is not None:
            begin, record = step_of(found), load_record(found)
            self.weight = torch.load(found / "actor" / "model_world_size_1_rank_0.pt")["weight"]
            state = load_state(found / "small.safetensors", "small")
            if not self.forget:
                self.generator.bit_generator.state = state["rng"]
        log = RunFolder(self.folder, self.config, begin, record)
        for step in range(begin + 1, self.steps + 1):
            self.weight = self.weight + torch.from_numpy(self.generator.random(len(self.weight)))
            row = {"weight": float(self.weight.sum()), "training/generated_tokens": TOKENS}
            row |= {"training/generated_rollouts": 1, "timing_s/step": 0.5}
            totals = log.totals_with(0.5, TOKENS, 1)
            write = self.writer(step, RunRecord(step, totals, row, {}))
            save_whole(self.folder, step, self.config, saved_by(self.config), write)
            log.log(row, step)
        log.finish()

    def writer(self, step, record):
        def write(folder):
            save_state(folder / "small.safetensors", "small", {"rng": self.generator.bit_generator.state})
            save_record(folder, record, OmegaConf.to_container(self.config))
            actor = folder / "actor"
            actor.mkdir(exist_ok=True)
            for kind in ("model", "optim", "extra_state"):
                torch.save({"weight": self.weight}, actor / f"{kind}_world_size_1_rank_0.pt")
            (actor / "fsdp_config.json").write_text('{"world_size": 1}')
            torch.save(LOADER | {"_num_yielded": step}, folder / "data.pt")

        return write


def started(folder, **more):
    """A process that trains; its id."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            SmallRun(folder, **more).go()
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_often(folder, seconds, generator):
    """Start the run, kill it after a random time, start it at once; how often before it came to its end."""
    kills = 0
    while True:
        pid = started(folder)
        if kills < MOST_KILLS:
            time.sleep(generator.random() * seconds)
            os.kill(pid, signal.SIGKILL)
        status = ended(pid)
        if status == 0:
            return kills
        assert status == -signal.SIGKILL, f"it could not resume after {kills} kills"
        kills += 1


@pytest.fixture(scope="module", autouse=True)
def quickly():
    """Without waits for the disk, which keeps what a killed process has written, and without a look at git."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda file: None)
        patched.setattr(origin, "commit", lambda: None)
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The run that nobody kills, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    saved_by(run_config(folder))  # it imports verl, which each process would do again
    began = time.monotonic()
    assert ended(started(folder)) == 0
    return folder, time.monotonic() - began


def test_runs_that_are_killed_again_and_again_are_the_run_that_is_not(plain, tmp_path):
    folder, seconds = plain
    assert sorted(rows_of(folder)) == list(range(1, STEPS + 1))
    generator, kills, runs = np.random.default_rng(3), 0, 0
    while runs < 3 or kills < 5:  # a run that is faster than the plain one was may end before it is killed
        run, runs = tmp_path / f"run-{runs}", runs + 1
        assert runs < 12
        kills += killed_often(run, seconds / 2, generator)
        assert differences(run, folder) == []
        last = rows_of(run)[STEPS]
        assert (last["generated_tokens"], last["train_seconds"]) == (STEPS * TOKENS, STEPS * 0.5)


def test_the_comparison_sees_what_a_resume_forgets(plain, tmp_path):
    assert ended(started(tmp_path / "run", steps=2)) == ended(started(tmp_path / "run", forget=True)) == 0
    found = differences(tmp_path / "run", plain[0])
    assert found[0].startswith("metrics.jsonl, line 3, step 3: weight is ")
    assert "actor/model_world_size_1_rank_0.pt of the last checkpoint differs in /weight" in found
    assert differences(plain[0], plain[0]) == []


def test_wherever_a_save_is_cut_off_the_checkpoint_before_is_the_newest(tmp_path, monkeypatch):
    """A process is ended before each of its writes to disk in turn: renames and the files that torch opens."""
    cut, step, run = 0, None, tmp_path / "run"
    needs = saved_by(run_config(run))
    while step != 2:
        pid = os.fork()
        if pid == 0:
            _end_at(monkeypatch, cut)
            SmallRun(run, steps=2).go()
            os._exit(0)
        ended(pid)
        complete = [folder for folder in checkpoints_in(run) if not faults(folder, needs, checksums=True)]
        for folder in checkpoints_in(run):
            whole = (folder / MANIFEST).is_file() and (folder / RECORD).is_file()
            assert (folder in complete) == whole
        newest = step_of(complete[-1]) if complete else 0
        assert newest in (step or 0, (step or 0) + 1), "a step was lost, or two were made at once"
        # The next write of the same step, or the first of the next one.
        step, cut = newest, cut + 1 if newest == (step or 0) else 0


def _end_at(monkeypatch, cut):
    """End this process by SIGKILL before its write of a number."""
    count = -1

    def counted(call):
        def made(*arguments, **named):
            nonlocal count
            count += 1
            if count == cut:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return made

    monkeypatch.setattr(os, "replace", counted(os.replace))
    monkeypatch.setattr(torch, "save", counted(torch.save))
