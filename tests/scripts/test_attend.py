"""scripts/attend.sh: signals to a script reach the command that it waits for."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(folder: Path, command: str) -> subprocess.Popen:
    (folder / "command.sh").write_text(command)
    text = f"set -euo pipefail; source {ROOT}/scripts/attend.sh; attend bash command.sh; echo after > after"
    return subprocess.Popen(["bash", "-c", text], cwd=folder)


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
