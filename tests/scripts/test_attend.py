"""scripts/attend.sh: signals to a script reach the command that it waits for."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.launches import ROOT


def script(folder: Path, command: str) -> subprocess.Popen:
    (folder / "command.sh").write_text(command)
    text = f"set -euo pipefail; source {ROOT}/scripts/attend.sh; attend bash command.sh; echo after > after"
    # bash cannot take up a signal that it was started to ignore, as everything in the background of a script is.
    return subprocess.Popen(
        ["bash", "-c", text], cwd=folder, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_command_and_the_script_ends_after_it(tmp_path, number):
    # bash ignores SIGINT in what it starts in the background, unless that takes it up: as verl_dots.guard does.
    python = (
        "import pathlib, signal, sys, time\n"
        "for number in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(number, lambda *_: (pathlib.Path('told').touch(), sys.exit(9)))\n"
        "pathlib.Path('begun').touch()\ntime.sleep(60)\n"
    )
    (tmp_path / "command.py").write_text(python)
    started = script(tmp_path, "exec python3 command.py")
    wait_for(tmp_path / "begun")
    started.send_signal(number)
    assert started.wait(timeout=30) == 128 + number
    assert (tmp_path / "told").exists()
    assert not (tmp_path / "after").exists()


@pytest.mark.parametrize("status", [0, 3])
def test_the_command_s_status_is_kept(tmp_path, status):
    started = script(tmp_path, f"exit {status}")
    assert started.wait(timeout=30) == status
    assert (tmp_path / "after").exists() == (status == 0)


def test_bash_never_waits_for_a_command_that_still_runs(tmp_path):
    """bash's `wait` sleeps on where a signal comes between its last look and its sleep: the trap ran a minute later."""
    text = 'wait() { ! kill -0 "$1" 2>/dev/null || touch long; builtin wait "$@"; }; '
    text += f"source {ROOT}/scripts/attend.sh; attend bash -c 'sleep 0.5; exit 3' || echo $? > status"
    subprocess.run(["bash", "-c", text], cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "status").read_text() == "3\n"
    assert not (tmp_path / "long").exists()


def test_sigterm_to_the_quickstart_reaches_the_training_and_nothing_comes_after(tmp_path):
    """The real script, in a folder where all is installed and made and where the recipes train nothing."""
    for name in ("quickstart.sh", "attend.sh", "ready.sh"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    recipe = f"exec {sys.executable} -c 'import signal, sys, time, os\n"
    recipe += 'signal.signal(signal.SIGTERM, lambda *_: (open("told", "w").write(os.environ["RUN"]), sys.exit(143)))\n'
    recipe += 'open("ready", "w").close()\ntime.sleep(60)\'\n'
    texts = {
        "scripts/install.sh": "", "data/arithmetic/train.parquet": "", "models/tiny/config.json": "",
        "recipes/cpu/grpo.sh": recipe, "recipes/cpu/dots_rr.sh": "touch second",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    started = subprocess.Popen(["bash", str(tmp_path / "scripts/quickstart.sh")])
    wait_for(tmp_path / "ready")
    started.send_signal(signal.SIGTERM)
    assert started.wait(timeout=30) == 143
    assert (tmp_path / "told").read_text() == "runs/quickstart/grpo-seed1"
    assert not (tmp_path / "second").exists()
