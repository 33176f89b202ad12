"""What a user sees of a run, with a process that trains nothing: it writes a run folder and a lot of noise."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = """
import json, os, pathlib, resource, sys, time
from verl_dots.console.run import RunConsole

folder, how = pathlib.Path(sys.argv[1]) / "run", sys.argv[2]


def fill():
    # No file of this process takes another byte: as on a full disk, but for the number of the error.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if "full from the start" in how:
    fill()
shown, said = {"lines": "full console" not in how, "resumes": "anew" not in how}, "said before" + chr(10)
console = RunConsole(folder, ["starts"], validates_first=True, said=said, **shown)
with console:
    print("noise of Python")
    os.system("echo noise of a child; echo noise of its errors >&2")
    print("(Worker pid=7) OSError: rollout 1 is lost" + chr(10) + "(Worker pid=8) OSError: rollout 2 is lost")
    trainer = {"total_training_steps": 2 if "null" not in how else None}
    optim = {"total_training_steps": 2}
    config = {"trainer": trainer, "actor_rollout_ref": {"actor": {"optim": optim}}}
    (folder / "config.yaml").write_text(json.dumps(config))
    (folder / "run.json").write_text(json.dumps({"finished": None}))
    for step in (0, 1, 2):
        if "stops" in how and step == 2:
            if "unsaved" not in how:
                (folder / "latest_checkpointed_iteration.txt").write_text("1")
            break
        if "fails" in how and step == 2:
            "disk is full" in how and fill()
            raise RuntimeError("the trainer has lost " + how)
        if "exits" in how:
            sys.exit(4)
        with (folder / "metrics.jsonl").open("a") as file:
            row = {"step": step, "wall_seconds": 10.0 * step, "pid": os.getpid(), "critic/score/mean": 0.5}
            file.write(json.dumps(row) + chr(10))
    else:
        (folder / "stop").touch()
        (folder / "run.json").write_text(json.dumps({"finished": "now"}))
print("after")
"""


def command(tmp_path: Path, how: str) -> list[str]:
    return [sys.executable, "-c", RUN, str(tmp_path), how]


def train(tmp_path: Path, how: str) -> tuple[int, list[str], str, str]:
    """Its status, the lines that it shows, what it writes to stderr, and the log."""
    done = subprocess.run(command(tmp_path, how), cwd=ROOT, capture_output=True, text=True, timeout=60)
    log = tmp_path / "run" / "train.log"
    return done.returncode, done.stdout.splitlines(), done.stderr, log.read_text() if log.exists() else ""


@pytest.mark.parametrize("how", ["good", "null"])
def test_a_good_run_shows_a_line_a_step_and_each_error_once(tmp_path, how):
    status, lines, errors, log = train(tmp_path, how)
    assert (status, errors) == (0, "")
    assert [line for line in lines if "error" not in line] == [
        "starts",
        "step 0/2  reward 0.500",
        "step 1/2  reward 0.500  10 s left",
        "step 2/2  reward 0.500",
        "  2 times: OSError: rollout 1 is lost",
        f"complete: step 2 of 2 after 20 s; {tmp_path / 'run' / 'metrics.jsonl'}",
        "after",
    ]
    assert [line for line in lines if "error" in line] == ["  error in the log: OSError: rollout 1 is lost"]
    assert not (tmp_path / "run" / "stop").exists()  # it came too late, and would end the next start
    for text in ("said before", "noise of Python", "noise of a child", "noise of its errors", "(Worker pid=8) OSError"):
        assert text in log
    assert log.startswith("=== ")


@pytest.mark.parametrize("how", ["stops", "full console, stops"])
def test_a_request_that_a_dead_run_left_does_not_stop_the_next_one(tmp_path, how):
    stop = tmp_path / "run" / "stop"
    stop.parent.mkdir()
    stop.touch()
    os.utime(stop, (time.time() - 60,) * 2)
    status, lines, _, _ = train(tmp_path, how)
    assert status == 0
    assert f"removed {stop}: it asked an earlier run to stop, and that run has ended" in lines
    assert not stop.exists()


def test_a_request_to_stop_during_the_start_is_kept(tmp_path):
    stop = tmp_path / "run" / "stop"
    stop.parent.mkdir()
    stop.touch()
    os.utime(stop, (time.time() + 60,) * 2)  # it comes while the command imports what it needs
    _, lines, _, _ = train(tmp_path, "stops")
    assert stop.exists() and not any("removed" in line for line in lines)


def test_a_run_that_was_asked_to_stop_says_how_it_goes_on_and_then_shows_what_is_new(tmp_path):
    status, lines, _, _ = train(tmp_path, "stops")
    assert status == 0
    told = f"stopped after step 1 of 2, as asked; the same command resumes from step 1 in {tmp_path / 'run'}"
    assert told in lines
    _, lines, _, log = train(tmp_path, "good")
    assert log.count("=== ") == 2
    assert len([line for line in lines if line.startswith("step ")]) == 3
    assert "  2 times: OSError: rollout 1 is lost" in lines  # not 4: the first start had its own


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("stops unsaved", "nothing was saved yet: the same command starts from the beginning"),
        ("stops anew unsaved", "nothing was saved yet: the same command begins where this one did"),
        ("stops anew", "to resume from step 1 in {run} leave out trainer.resume_mode and trainer.resume_from_path; the "
         "same command begins where this one did"),
    ],
)  # fmt: skip
def test_what_the_same_command_does_is_told_of_each_mode(tmp_path, how, told):
    """With resume_mode=disable or resume_path it does not resume, whatever this run has saved."""
    _, lines, _, _ = train(tmp_path, how)
    assert lines[-2] == f"stopped after step 1 of 2, as asked; {told.format(run=tmp_path / 'run')}"


def test_a_failure_shows_its_cause_and_the_log_its_traceback(tmp_path):
    status, lines, errors, log = train(tmp_path, "fails")
    assert (status, errors) == (1, "")
    assert lines[-3].startswith("failed: RuntimeError: the trainer has lost fails (<string>:")
    assert lines[-2] == f"full log: {tmp_path / 'run' / 'train.log'}"
    assert lines[-1] == "nothing was saved yet: the same command starts from the beginning"
    assert sum("the trainer has lost" in line for line in lines) == 1
    assert "Traceback" not in "".join(lines)
    assert "Traceback (most recent call last)" in log


def test_a_failure_shows_its_cause_where_the_log_has_no_room(tmp_path):
    status, lines, _, log = train(tmp_path, "fails, the disk is full")
    told = next(place for place, line in enumerate(lines) if line.startswith("failed: RuntimeError: the trainer has"))
    assert status == 1 and "after" not in lines
    assert lines[told + 1] == f"full log: {tmp_path / 'run' / 'train.log'}"
    assert "noise of a child" in log and "Traceback" not in log


def test_a_disk_that_is_full_from_the_start_is_named(tmp_path):
    status, lines, _, log = train(tmp_path, "full from the start")
    told = next(line for line in lines if line.startswith("failed: "))
    assert status == 1 and told.startswith("failed: OSError: [Errno 27] File too large")
    assert lines[0] == "starts" and log == ""


@pytest.mark.parametrize("console", ["/dev/full", "nobody"])
def test_a_console_that_takes_nothing_changes_nothing_of_the_run(tmp_path, console):
    """The disk that it goes to is full, or who read it has ended, as `head` does."""
    if console == "nobody":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open(console, os.O_WRONLY)
    done = subprocess.run(
        command(tmp_path, "exits"), cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (4, "")
    log = (tmp_path / "run" / "train.log").read_text()
    assert "noise of Python" in log and "noise of a child" in log


def test_an_exit_keeps_its_status(tmp_path):
    assert train(tmp_path, "exits")[0] == 4


def test_the_full_console_shows_all_and_nothing_beside_but_the_end(tmp_path):
    status, lines, errors, log = train(tmp_path, "full console")
    assert (status, log) == (0, "")
    assert {"said before", "noise of Python", "noise of a child"} <= set(lines)
    assert errors == "noise of its errors\n"
    assert "starts" not in lines and not any(line.startswith("step ") for line in lines)
    assert train(tmp_path / "again", "full console, fails")[0] == 1
