"""The worker pool: limits, dying workers, recovery, and no orphans."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from verl_dots.rewards.worker_pool import WorkerPool, WorkerStartError


@pytest.fixture
def pool():
    pool = WorkerPool(workers=1)
    yield pool
    pool.close()


def test_value_and_reuse(pool):
    first = pool.run(os.getpid, limit_seconds=5)
    assert first.failure is None and first.value != os.getpid()
    assert pool.run(os.getpid, limit_seconds=5).value == first.value


def test_limit_is_hard_even_inside_one_c_level_operation(pool):
    pool.run(os.getpid, limit_seconds=5)  # start the worker, so that the time below is the limit's
    start = time.monotonic()
    outcome = pool.run(pow, 7, 10**9, limit_seconds=0.5)  # one bytecode, minutes long, signals ignored
    assert outcome.failure == "took longer than 0.5 s"
    assert time.monotonic() - start < 10
    assert pool.run(abs, -3, limit_seconds=5).value == 3


@pytest.mark.parametrize(
    ("code", "failure"),
    [(1, "its worker process died with exit code 1"), (0, "took longer than 2 s")],  # a clean exit is seen at the limit
)
def test_a_worker_that_dies_costs_only_its_own_call(pool, code, failure):
    assert pool.run(os._exit, code, limit_seconds=2).failure == failure
    assert pool.run(abs, -3, limit_seconds=5).value == 3


def test_sys_exit_in_a_worker_is_a_failure_not_an_exit(pool):
    outcome = pool.run(sys.exit, 3, limit_seconds=5)
    assert outcome.failure == "raised SystemExit: 3"


def test_an_exception_is_a_failure(pool):
    assert pool.run(int, "x", limit_seconds=5).failure.startswith("raised ValueError: invalid literal")


def test_memory_is_capped(pool):
    outcome = pool.run(bytes, 16 * 2**30, limit_seconds=20)
    assert outcome.failure.startswith("raised MemoryError")


def test_an_idle_worker_that_was_killed_is_replaced(pool):
    os.kill(pool.run(os.getpid, limit_seconds=5).value, signal.SIGKILL)
    time.sleep(0.5)
    assert pool.run(abs, -3, limit_seconds=5).value == 3


def test_closed_pool_starts_again(pool):
    before = pool.run(os.getpid, limit_seconds=5).value
    pool.close()
    assert pool.run(os.getpid, limit_seconds=5).value != before


def test_workers_that_cannot_import_a_module_are_an_error_with_the_cause():
    pool = WorkerPool(workers=1, modules=("no_such_module_anywhere",))
    cause = "importing no_such_module_anywhere raised ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    with pytest.raises(WorkerStartError, match=cause):
        pool.run(abs, -3, limit_seconds=5)
    pool.close()


def test_workers_that_die_at_the_start_are_an_error_with_the_exit_code(tmp_path, monkeypatch):
    (tmp_path / "leaves_at_once.py").write_text("import os\nos._exit(7)\n")
    script = "from verl_dots.rewards.worker_pool import WorkerPool\n"
    script += "WorkerPool(1, ('leaves_at_once',)).run(abs, -3, limit_seconds=2)"
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "WorkerStartError: worker processes died 3 times" in done.stderr, done.stderr


def test_a_worker_that_is_killed_says_by_which_signal(pool):
    assert pool.run(signal.raise_signal, signal.SIGKILL, limit_seconds=5).failure == (
        "its worker process died of SIGKILL; the machine may have run out of memory"
    )


@pytest.mark.parametrize("length", [60, 75, 120])
def test_a_long_temporary_folder_does_not_keep_workers_from_starting(tmp_path, length):
    folder = str(tmp_path) + "/" + "x" * max(1, length - len(str(tmp_path)) - 1)
    os.makedirs(folder)
    script = "import tempfile\nfrom verl_dots.rewards.worker_pool import WorkerPool\n"
    script += "print(WorkerPool(1).run(abs, -3, limit_seconds=20), tempfile.gettempdir())"
    env = os.environ | {"TMPDIR": folder}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"Outcome(value=3, failure=None) {folder}\n", done.stderr


def test_settings_are_checked(pool):
    with pytest.raises(ValueError, match="workers is 0"):
        WorkerPool(workers=0)
    with pytest.raises(ValueError, match="limit_seconds is 0"):
        pool.run(abs, -3, limit_seconds=0)


def test_no_worker_outlives_a_killed_parent():
    script = textwrap.dedent("""
        import os, time
        from verl_dots.rewards.worker_pool import WorkerPool, WorkerStartError
        if __name__ == "__main__":
            print(WorkerPool(workers=1).run(os.getpid, limit_seconds=5).value, flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 15
    while os.path.exists(f"/proc/{worker}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{worker}")
