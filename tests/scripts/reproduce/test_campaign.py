"""Carrying a plan out: with recipes that stand in for a training, in a checkout of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from scripts.reproduce import __main__ as runner
from scripts.reproduce import campaign, plan
from tests.launches import ROOT, environment

# Takes note of each start; fails, waits or ends as the file of its method and seed says; saves when asked to.
RECIPE = """
echo "$(basename "$0" .sh) $SEED $(basename "$DATA") $STEPS $*" >> starts
how=$(cat "how-$(basename "$0" .sh)-$SEED" 2>/dev/null || true)
echo "said by $RUN"
[ "$how" != fail ] || exit 3
mkdir -p "$RUN/global_step_5"
touch "$RUN/begun"
while [ "$how" = wait ] && [ ! -e "$RUN/stop" ]; do sleep 0.1; done
[ "$how" != wait ] || { echo saved > "$RUN/saved"; exit 0; }
echo '{"started": "2026-01-01T00:00:00", "finished": "2026-01-01T00:01:30", "resumed_step": 0}' > "$RUN/run.json"
"""
COMBINATION = {
    "title": "t", "model": "models/m", "learning_rate": 1e-4, "batch": 8, "steps": 30, "test_freq": 3, "chosen": "c",
    "stands_for": "r",
}  # fmt: skip
MATRIX = {
    "seeds": [1, 2], "methods": {"grpo": {}, "mine": {}}, "time": {"steps": 4, "rounds": 1},
    "combinations": {"one": COMBINATION | {"data": "data/one"}, "two": COMBINATION | {"data": "data/two"}},
}  # fmt: skip
INPUTS = {
    "models/m": {"make": ['mkdir "$OUT"; touch "$OUT/made"']},
    "data/one": {"make": ['mkdir "$OUT"', 'cp models/m/made "$OUT/"'], "needs": ["models/m"]},
    "data/two": {"make": ['mkdir "$OUT"']},
}


@pytest.fixture
def checkout(tmp_path):
    """A folder with the runner, a matrix, and the stand-ins."""
    shutil.copytree(ROOT / "scripts/reproduce", tmp_path / "scripts/reproduce")
    (tmp_path / "scripts/__init__.py").touch()
    for name, text in {
        "recipes/evidence/mine.yaml": yaml.dump(MATRIX), "recipes/evidence/inputs.yaml": yaml.dump(INPUTS),
        "recipes/cpu/grpo.sh": RECIPE, "recipes/cpu/mine.sh": RECIPE,
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def begin(checkout: Path, *options: str) -> subprocess.Popen:
    words = [sys.executable, "-m", "scripts.reproduce", "--matrix", "recipes/evidence/mine.yaml", "--no-evidence"]
    return subprocess.Popen(
        [*words, *options], cwd=checkout, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.fixture
def run(checkout, monkeypatch, capsys):
    """Runs the runner in this process: its status and its output."""
    monkeypatch.setattr(runner, "ROOT", checkout)
    monkeypatch.setattr(campaign, "POLL_SECONDS", 0.02)

    def of(*options: str) -> tuple[int, str]:
        status = runner.main(["--matrix", str(checkout / "recipes/evidence/mine.yaml"), "--no-evidence", *options])
        told = capsys.readouterr()
        return status, told.out + told.err

    return of


def starts(checkout: Path) -> list[str]:
    """Recipe, seed, data and steps of each start so far."""
    file = checkout / "starts"
    return [" ".join(line.split()[:4]) for line in file.read_text().splitlines()] if file.exists() else []


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, file
        time.sleep(0.05)


ALL = [
    "grpo 1 one 30", "grpo 1 two 30", "mine 1 one 30", "mine 1 two 30",
    "grpo 2 one 30", "grpo 2 two 30", "mine 2 one 30", "mine 2 two 30",
    "grpo 1 one 4", "mine 1 one 4", "mine 1 two 4", "grpo 1 two 4",
]  # fmt: skip


def test_a_campaign_makes_its_inputs_and_runs_and_skips_them_the_next_time(checkout, run):
    status, output = run()
    assert (status, starts(checkout)) == (0, ALL), output
    assert (checkout / "data/one/made").exists() and not list(checkout.glob("*/*.making"))
    folder = checkout / "runs/reproduce-mine/one/grpo-seed1"
    assert (folder / "output.log").read_text() == "said by runs/reproduce-mine/one/grpo-seed1\n"
    assert not (folder / "global_step_5").exists(), "checkpoints of finished runs are removed"
    # 11 runs are left: 7 for accuracy, and 4 for time, of which as much is expected.
    assert "accuracy: one, grpo, seed 1: done in 90 s (1 of 8, about 16 min left)" in output
    assert run()[0] == 0 and starts(checkout) == ALL


# Takes note of it; fails where `how-evaluate` says so.
EVALUATE = """#!/bin/bash
[ "$1 $2" = "-m verl_dots.evaluate" ] || exit 2
echo "evaluate $3 ${*:4}" >> starts
[ "$(cat how-evaluate 2>/dev/null)" != fail ] || { echo no memory; exit 4; }
mkdir -p "$3/global_step_5/evaluation"; echo '{}' > "$3/global_step_5/evaluation/evaluation.json"
touch "$3/global_step_5/evaluation/generations.parquet"
"""


@pytest.fixture
def evaluated(checkout, monkeypatch):
    """The matrix evaluates one of its methods, by a stand-in of `python`."""
    matrix = MATRIX | {"evaluate": {"methods": ["mine"], "rollouts": 16, "overrides": ["a=1"]}, "seeds": [1]}
    (checkout / "recipes/evidence/mine.yaml").write_text(yaml.dump(matrix))
    recipe = RECIPE.replace('mkdir -p "$RUN/global_step_5"', 'mkdir -p "$RUN/global_step_5/actor"')
    (checkout / "recipes/cpu/mine.sh").write_text(recipe)
    (checkout / "bin").mkdir()
    (checkout / "bin/python").write_text(EVALUATE)
    (checkout / "bin/python").chmod(0o755)
    monkeypatch.setenv("PATH", f"{checkout / 'bin'}:{os.environ['PATH']}")
    return checkout / "runs/reproduce-mine/one/mine-seed1"


def test_a_run_is_evaluated_before_its_checkpoint_is_removed(checkout, run, evaluated):
    status, output = run("--no-time", "--combinations", "one")
    assert status == 0, output
    begun = (checkout / "starts").read_text().splitlines()
    assert [line.split()[0] for line in begun] == ["grpo", "mine", "evaluate"]
    folder = "runs/reproduce-mine/one/mine-seed1"
    assert begun[-1] == f"evaluate {folder} --data data/one/val.parquet --rollouts 16 device=cpu a=1"
    left = sorted(path.relative_to(evaluated).as_posix() for path in evaluated.rglob("*") if "step" in str(path))
    assert left == ["global_step_5", "global_step_5/evaluation", "global_step_5/evaluation/evaluation.json"]
    assert run("--no-time", "--combinations", "one")[0] == 0 and (checkout / "starts").read_text().count("\n") == 3


def test_an_evaluation_that_fails_is_named_and_comes_again_alone(checkout, run, evaluated):
    (checkout / "how-evaluate").write_text("fail")
    status, output = run("--no-time", "--combinations", "one")
    assert status == 1 and "accuracy: one, mine, seed 1: FAILED, status 4: no memory" in output
    assert (evaluated / "global_step_5/actor").is_dir(), "what is evaluated next time stays"
    (checkout / "how-evaluate").unlink()
    assert run("--no-time", "--combinations", "one")[0] == 0
    begun = [line.split()[0] for line in (checkout / "starts").read_text().splitlines()]
    assert begun == ["grpo", "mine", "evaluate", "evaluate"]


def test_a_failed_run_is_named_and_the_others_are_made(checkout, run):
    (checkout / "how-mine-1").write_text("fail")
    status, output = run("--no-time")
    assert (status, starts(checkout)) == (1, ALL[:8])
    log = "runs/reproduce-mine/two/mine-seed1"
    assert f"failed: accuracy: two, mine, seed 1: status 3: said by {log} ({log}/output.log)" in output
    (checkout / "how-mine-1").unlink()
    assert run("--no-time")[0] == 0
    assert starts(checkout)[8:] == ["mine 1 one 30", "mine 1 two 30"], "what failed is made again, nothing else"


def test_a_cut_round_of_timing_runs_is_made_again_whole(checkout, run):
    """Their times are of a day in the past, so what fails is of another sitting the next time."""
    (checkout / "how-mine-1").write_text("fail")
    assert run("--time")[0] == 1 and starts(checkout) == ALL[8:], "a round in one campaign is of one sitting"
    (checkout / "how-mine-1").unlink()
    (checkout / "runs/reproduce-mine/one/time/grpo-seed1/mark").touch()
    part = checkout / "runs/reproduce-mine/one/time/mine-seed1"
    part.mkdir(exist_ok=True)
    (part / "mark").touch()  # of a run that was stopped: it would resume
    status, output = run("--time")
    assert (status, starts(checkout)[4:]) == (0, ["mine 1 one 4", "grpo 1 one 4", "mine 1 two 4", "grpo 1 two 4"])
    moved = "runs/reproduce-mine/cut/one/time/grpo-seed1"
    assert (checkout / moved / "mark").exists() and "time: one, grpo, seed 1: made again" in output and moved in output
    assert not (checkout / "runs/reproduce-mine/one/time/grpo-seed1/mark").exists()
    assert not (part / "mark").exists() and (checkout / "runs/reproduce-mine/cut/one/time/mine-seed1/mark").exists()
    assert run("--time")[0] == 0 and len(starts(checkout)) == 8, "a whole round stays"


def test_what_cannot_be_made_is_named_with_what_needs_it(checkout, run):
    broken = INPUTS | {"models/m": {"make": ["echo no model; false"]}}
    (checkout / "recipes/evidence/inputs.yaml").write_text(yaml.dump(broken))
    status, output = run("--no-time", "--seeds", "1", "--combinations", "one")
    assert status == 1 and "failed: models/m: status 1 of 'echo no model; false': no model" in output
    assert "failed: data/one: it needs models/m, which is not there" in output


def test_a_finished_run_of_other_settings_does_not_count(checkout, run):
    some = ("--no-time", "--seeds", "1", "--combinations", "one", "--methods", "grpo")
    assert run(*some)[0] == 0
    status, output = run(*some, "--steps", "60")
    assert status == 1 and "is of another run: it was run with STEPS=30, and the matrix has STEPS=60" in output
    assert starts(checkout) == ["grpo 1 one 30"]


def test_a_dry_run_prints_commands_and_makes_nothing(checkout, run):
    status, output = run("--dry-run", "--seeds", "2", "--combinations", "two", "--no-time")
    assert status == 0 and starts(checkout) == [] and not (checkout / "runs").exists()
    lines = output.splitlines()
    assert lines[:2] == [
        """OUT=models/m bash -euo pipefail -c 'mkdir "$OUT"; touch "$OUT/made"'""",
        """OUT=data/two bash -euo pipefail -c 'mkdir "$OUT"'""",
    ]
    assert [line.split(" trainer")[0] for line in lines[2:]] == [
        f"DATA=data/two MODEL=models/m SEED=2 STEPS=30 RUN=runs/reproduce-mine/two/{name}-seed2 bash "
        f"recipes/cpu/{name}.sh"
        for name in ("grpo", "mine")
    ]


def test_sigterm_lets_runs_save_and_the_same_command_resumes(checkout, run):
    for name in ("how-grpo-1", "how-mine-1"):
        (checkout / name).write_text("wait")
    started = begin(checkout, "--no-time", "--jobs", "2", "--combinations", "one")
    runs = checkout / "runs/reproduce-mine"
    for name in ("grpo", "mine"):
        wait_for(runs / f"one/{name}-seed1/begun")
    started.send_signal(signal.SIGTERM)
    output, _ = started.communicate(timeout=60)
    assert started.returncode == 128 + signal.SIGTERM and "the same command resumes" in output, output
    assert all((runs / f"one/{name}-seed1/saved").exists() for name in ("grpo", "mine"))
    assert (runs / "one/grpo-seed1/global_step_5").exists(), "what was cut resumes from its checkpoint"
    for name in ("how-grpo-1", "how-mine-1"):
        (checkout / name).unlink()
    assert run("--no-time", "--combinations", "one")[0] == 0
    assert starts(checkout)[2:] == ["grpo 1 one 30", "mine 1 one 30", "grpo 2 one 30", "mine 2 one 30"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_runs_end_with_the_runner_and_the_same_command_resumes(checkout, run, number):
    (checkout / "how-grpo-1").write_text("wait")
    started = begin(checkout, "--no-time", "--combinations", "one", "--seeds", "1")
    wait_for(checkout / "runs/reproduce-mine/one/grpo-seed1/begun")
    started.send_signal(number)
    started.communicate(timeout=60)  # its end of the pipe is that of every process below it, too
    assert started.returncode == (130 if number == signal.SIGINT else -number)
    (checkout / "how-grpo-1").unlink()
    assert run("--no-time", "--combinations", "one", "--seeds", "1")[0] == 0
    assert starts(checkout) == ["grpo 1 one 30", "grpo 1 one 30", "mine 1 one 30"]


def planned(method: str, kind: str = "accuracy", combination: str = "one") -> plan.Planned:
    return plan.Planned(combination, method, 1, kind, Path("x"), (), {})


def test_the_time_left_is_that_of_the_runs_most_alike():
    grpo, mine, other = planned("grpo"), planned("mine"), planned("grpo", combination="two")
    done = [(grpo, 100.0), (grpo, 200.0), (mine, 50.0), (other, 1000.0)]
    assert plan.seconds_left([grpo, mine], done, jobs=1) == 200
    assert plan.seconds_left([grpo, mine], done, jobs=2) == 100
    # No such method on "one": the mean of its runs, 350 / 3. No such combination: of all, 1350 / 4.
    assert plan.seconds_left([planned("new")], done, 1) == pytest.approx(350 / 3)
    assert plan.seconds_left([planned("new", combination="three")], done, 1) == 337.5
    assert plan.seconds_left([planned("grpo", "time")], [*done, (planned("mine", "time"), 30.0)], jobs=2) == 30
    assert plan.seconds_left([grpo], [], 1) is None


@pytest.mark.parametrize("text, finished, seconds", [
    (json.dumps({"started": "2026-01-01T00:00:00", "finished": "2026-01-01T01:00:00", "resumed_step": 0}), True, 3600),
    (json.dumps({"started": "2026-01-01T00:00:00", "finished": "2026-01-01T01:00:00", "resumed_step": 9}), True, None),
    (json.dumps({"started": "2026-01-01T00:00:00", "finished": None}), False, None),
    ('{"finished": "20', False, None),
    ("[]", False, None),
])  # fmt: skip
def test_a_run_is_finished_if_its_file_says_so(tmp_path, text, finished, seconds):
    assert not plan.finished(tmp_path)
    (tmp_path / "run.json").write_text(text)
    assert (plan.finished(tmp_path), plan.seconds_taken(tmp_path)) == (finished, seconds)


def test_a_run_takes_as_long_as_its_command(tmp_path):
    """Half a minute of it is the start of its processes, before it calls itself started."""
    times = {"started": "2026-01-01T00:00:30+00:00", "finished": "2026-01-01T00:01:00+00:00", "resumed_step": 0}
    (tmp_path / "run.json").write_text(json.dumps(times))
    plan.record_command(planned("grpo"), tmp_path)
    began = datetime.fromisoformat("2026-01-01T00:00:00+00:00").timestamp()
    os.utime(tmp_path / plan.COMMAND_FILE, (began, began))
    assert plan.seconds_taken(tmp_path) == 60
