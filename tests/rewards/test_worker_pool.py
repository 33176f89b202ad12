"""The worker pool: limits, dying workers, recovery, and no orphans."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.launches import PATIENCE_SECONDS
from verl_dots.rewards.worker_pool import WorkerPool, WorkerStartError


@pytest.fixture
def pool():
    pool = WorkerPool(workers=1)
    yield pool
    pool.close()


def test_a_worker_is_reused_until_the_pool_is_closed(pool):
    first = pool.run(os.getpid, limit_seconds=5)
    assert first.failure is None and first.value != os.getpid()
    assert pool.run(os.getpid, limit_seconds=5) == first
    pool.close()
    assert pool.run(os.getpid, limit_seconds=5) != first


def test_limit_is_hard_even_inside_one_c_level_operation(pool):
    pool.run(os.getpid, limit_seconds=5)  # start the worker, so that the time below is the limit's
    start = time.monotonic()
    outcome = pool.run(pow, 7, 10**9, limit_seconds=0.5)  # one bytecode, minutes long, signals ignored
    assert outcome.failure == "took longer than 0.5 s"
    assert time.monotonic() - start < 10
    assert pool.run(abs, -3, limit_seconds=5).value == 3


@pytest.mark.parametrize(
    ("function", "argument", "failure"),
    [
        (int, "x", "raised ValueError: invalid literal"),
        (sys.exit, 3, "raised SystemExit: 3"),
        (bytes, 16 * 2**30, "raised MemoryError"),  # memory is capped
        (os._exit, 1, "its worker process died with exit code 1"),
        (os._exit, 0, "took longer than 2 s"),  # a clean exit is seen at the limit
        (signal.raise_signal, signal.SIGKILL, "its worker process died of SIGKILL; the machine may have run out of"),
    ],
)
def test_a_call_that_fails_costs_only_itself(pool, function, argument, failure):
    assert pool.run(function, argument, limit_seconds=2).failure.startswith(failure)
    assert pool.run(abs, -3, limit_seconds=5).value == 3


def test_an_idle_worker_that_was_killed_is_replaced(pool):
    os.kill(pool.run(os.getpid, limit_seconds=5).value, signal.SIGKILL)
    time.sleep(0.5)
    assert pool.run(abs, -3, limit_seconds=5).value == 3


def test_workers_that_cannot_import_a_module_are_an_error_with_the_cause():
    pool = WorkerPool(workers=1, modules=("no_such_module_anywhere",))
    cause = "importing no_such_module_anywhere raised ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    with pytest.raises(WorkerStartError, match=cause):
        pool.run(abs, -3, limit_seconds=5)
    pool.close()


def in_python(script):
    return [sys.executable, "-c", f"from verl_dots.rewards.worker_pool import WorkerPool\n{script}"]


def output(script, **variables):
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    return subprocess.run(in_python(script), env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def test_workers_that_die_at_the_start_are_an_error_with_the_exit_code(tmp_path):
    (tmp_path / "leaves_at_once.py").write_text("import os\nos._exit(7)\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = output("WorkerPool(1, ('leaves_at_once',)).run(abs, -3, limit_seconds=2)", PYTHONPATH=path)
    assert "WorkerStartError: worker processes died 3 times" in done.stderr, done.stderr


@pytest.mark.parametrize("length", [75, 120])
def test_a_long_temporary_folder_does_not_keep_workers_from_starting(tmp_path, length):
    folder = tmp_path / ("x" * max(1, length - len(str(tmp_path)) - 1))
    folder.mkdir()
    script = "import tempfile\nprint(WorkerPool(1).run(abs, -3, limit_seconds=20), tempfile.gettempdir())"
    done = output(script, TMPDIR=folder)
    assert done.stdout == f"Outcome(value=3, failure=None) {folder}\n", done.stderr


def test_the_limit_must_be_positive(pool):
    with pytest.raises(ValueError, match="limit_seconds is 0"):
        pool.run(abs, -3, limit_seconds=0)


def test_no_worker_outlives_a_killed_parent():
    script = "import os, time\nprint(WorkerPool(1).run(os.getpid, limit_seconds=5).value, flush=True)\ntime.sleep(60)"
    with subprocess.Popen(in_python(script), stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 15
    while os.path.exists(f"/proc/{worker}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{worker}")
