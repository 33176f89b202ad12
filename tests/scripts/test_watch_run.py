import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True)
with (folder / "metrics.jsonl").open("w") as file:
    file.write(json.dumps({"step": 0, "val-core/arithmetic/acc/mean@1": 0.25}) + chr(10))
    file.write(json.dumps({"step": 1, "critic/score/mean": 0.5, "timing_s/step": 2.0}) + chr(10))
print("noise of the training")
time.sleep(1.5)
sys.exit(int(sys.argv[2]))
"""


def watch(tmp_path, status):
    run = tmp_path / "grpo-seed1"
    command = [sys.executable, "-c", COMMAND, str(run), str(status)]
    watching = [sys.executable, "scripts/watch_run.py", str(run), str(tmp_path / "log" / "train.log"), "--", *command]
    return subprocess.run(watching, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_progress_is_shown_and_the_noise_goes_to_the_log(tmp_path):
    done = watch(tmp_path, 0)
    assert done.returncode == 0
    assert "validation accuracy  25.0 %" in done.stdout
    assert "noise" not in done.stdout
    assert (tmp_path / "log" / "train.log").read_text() == "noise of the training\n"


def test_a_failure_keeps_its_status_and_shows_the_end_of_the_log(tmp_path):
    done = watch(tmp_path, 3)
    assert done.returncode == 3
    assert "noise of the training" in done.stderr


def test_wrong_usage_says_how(tmp_path):
    done = subprocess.run([sys.executable, "scripts/watch_run.py", "x"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "RUN_FOLDER LOG_FILE -- COMMAND" in done.stderr
