"""The kill test itself, on a small program in place of the training: real processes, kills and run folders.

It must find a run that loses something, one that hangs, and one that leaves a process behind.
"""

import os
import subprocess
import sys
import time

import psutil
import pytest

from scripts.faults import campaign, launch, moments, tree
from scripts.faults.campaign import IDENTICAL, Campaign, outcomes_in
from scripts.faults.moments import Kill, Moment

pytestmark = pytest.mark.usefixtures("orphans_left_again")
ROOT = launch.ROOT
# Four steps: a number that grows by a random one. A process has the engine's name.
PROGRAM = """
import json, os, pathlib, signal, subprocess, sys, time
run, fault = pathlib.Path(sys.argv[1]), sys.argv[2]
from verl_dots.checkpoints import checkpoints_in
from verl_dots.manifest import MANIFEST, write_manifest
sleeper = [sys.executable, "-c", "import time; time.sleep(600)", "ray::EngineServer.generate"]
engine = subprocess.Popen(sleeper, start_new_session=True)
stray = subprocess.Popen(sleeper[:3], start_new_session=True)
there = [folder for folder in checkpoints_in(run) if (folder / MANIFEST).exists()]
step = int(there[-1].name.split("_")[-1]) if there else 0
value = json.loads((there[-1] / "value").read_text()) if there and fault != "loses" else 1
while step < 4:
    for _ in range(10):
        time.sleep(0.02)
        if engine.poll() is not None and fault != "hangs":
            stray.kill()
            if fault == "stalls":
                time.sleep(600)
            print("failed: EngineDied: the engine has died", flush=True)
            sys.exit(1)
    step, value = step + 1, value * 1103515245 % 2147483647
    folder = run / f"global_step_{step}"
    (folder / "actor").mkdir(parents=True, exist_ok=True)
    (folder / "value").write_text(json.dumps(value))
    with (run / "metrics.jsonl").open("a") as file:
        row = {"step": step, "value": value, "timing_s/step": 0.2, "timing_s/save_checkpoint": 0.1, "timing_s/gen": 0.1}
        file.write(json.dumps(row | {"training/generated_tokens": 1}) + "\\n")
    if fault != "seldom" or step % 2 == 0:
        write_manifest(folder, step)
engine.kill()
if fault != "strays":
    stray.kill()
print("complete: step 4 of 4", flush=True)
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a campaign of kills of one kind, of a program with a fault."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr(campaign, "prepare", lambda folder: None)
    said, given = [], {}

    def make(fault, target, during="generation", limit=20.0):
        def words(folder, run, steps, overrides):
            given[run.parent.name] = overrides
            return [sys.executable, "-c", PROGRAM, str(run), "none" if "plain" in str(run) else fault]

        def plan(seed, number):
            return Kill(number, Moment(target, during), share=0.5, steps=number % 2, pause=0.1)

        monkeypatch.setattr(campaign, "command", words)
        monkeypatch.setattr(campaign, "planned", plan)
        return Campaign(tmp_path, 1, 4, 2, limit, [], None, said.append)

    make.said, make.given = said, given
    return make


def outcomes(of):
    return [outcome for _, _, outcome in outcomes_in(of.out)]


def test_kills_that_leave_no_trace_are_identical_and_are_not_repeated(made):
    of = made("none", "engine")
    of.go(3)
    assert outcomes(of) == [IDENTICAL] * 3
    assert [kill["chain"] for kill in of.kills.done.values()] == [1, 1, 2]
    assert all(kill["said"] == "failed: EngineDied: the engine has died" for kill in of.kills.done.values())
    began = time.monotonic()
    again = made("none", "engine")
    again.go(3)
    assert outcomes(again) == [IDENTICAL] * 3 and time.monotonic() - began < 2
    assert made.said[-1] == "chain 2 is identical"
    # Every second run saves every second step: what its death loses no habit has saved.
    assert made.given == {"plain": [], "chain-1": [], "chain-2": ["trainer.save_freq=2"]}


@pytest.mark.parametrize(("target", "lost"), [("engine", True), ("node", False)])
def test_a_step_that_is_lost_with_what_only_rolls_out_is_told(made, target, lost):
    """The run is done again from its checkpoint, and in the end it is the same all the same."""
    of = made("seldom", target)
    of.go(1)
    told = "step 1 is lost: the newest checkpoint is of step 0"
    assert outcomes(of) == [told if lost else IDENTICAL] and of.chains.done[1]["differences"] == 0


def test_a_run_that_loses_its_state_differs_and_its_folder_is_kept(made, tmp_path):
    of = made("loses", "node", "step")
    of.go(1)
    (outcome,) = outcomes(of)
    assert outcome.startswith("differs: metrics.jsonl, line ")
    assert "value is" in (tmp_path / "chain-1" / "difference.txt").read_text()
    assert (tmp_path / "chain-1" / "run" / "global_step_4").is_dir()


def test_a_run_that_goes_on_without_its_engine_is_told(made, tmp_path):
    """It would hang in training; here it comes to its end, and nothing is lost."""
    of = made("hangs", "engine")
    of.go(1)
    assert outcomes(of) == [IDENTICAL]
    (kill,) = of.kills.done.values()
    assert kill["status"] == 0 and kill["killed"]


def test_a_process_that_outlives_its_run_is_told_and_ended(made):
    of = made("strays", "command", "step", limit=3.0)
    of.go(1)
    (outcome,) = outcomes(of)
    assert outcome.startswith("left over: ") and "time.sleep(600)" in outcome
    assert tree.below() == []
    assert of.chains.done[1]["first"][-1].startswith("left over at its end: ")


def test_what_was_there_before_the_runs_is_left_alone(made):
    """Other tests' processes are below this one, too, with children that they make meanwhile."""
    makes_another = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    other = subprocess.Popen([sys.executable, "-c", makes_another], stdin=subprocess.PIPE)
    try:
        of = made("strays", "command", "step", limit=3.0)
        of.go(1)
        assert outcomes(of)[0].startswith("left over: ") and tree.below() == []
        assert other.poll() is None and len(psutil.Process(other.pid).children()) == 1
    finally:
        other.communicate(b"\n", timeout=20)
    assert other.returncode == 0


def test_a_run_that_does_not_end_is_ended_and_told_with_evidence(made, tmp_path):
    of = made("stalls", "engine", limit=3.0)
    of.go(1)
    assert outcomes(of) == ["it had not ended 3 s later"]
    (evidence,) = (tmp_path / "chain-1").glob("hang-*.txt")
    assert "python" in evidence.read_text()


def test_the_command_of_a_run_is_the_recipe_made_small(tmp_path):
    words = launch.command(tmp_path, tmp_path / "run", 4, ["dots.seed=3"])
    assert words[1:5] == ["-m", "verl_dots.main", "device=cpu", "dots.preset=all"]
    assert words[-1] == "dots.seed=3" and set(launch.SMALL) <= set(words)
    assert f"trainer.default_local_dir={tmp_path / 'run'}" in words and "trainer.total_training_steps=4" in words


def test_moments_are_seen_through_a_real_tree(tmp_path):
    """A process with Ray's name for the engine, below this one."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "ray::EngineServer.generate_many"])
    try:
        seen = moments.Sight(tmp_path, tree.Tree(os.getpid()))
        deadline = time.monotonic() + 20
        while not seen.generates():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert seen.tree.kill("engine") and process.wait(20) == -9
    finally:
        process.kill()
