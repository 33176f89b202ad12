"""A process that dies ends whatever the main thread waits for; with real processes of Ray and the real queue."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext, suppress

import psutil
import pytest
import ray
import transfer_queue

from tests.launches import PATIENCE_SECONDS, ROOT
from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.queue.looks import Looks
from verl_dots.bridge.trainer import watch
from verl_dots.bridge.trainer.patience import Patience
from verl_dots.bridge.trainer.patient_trainer import PatientTrainer
from verl_dots.bridge.trainer.watch import ProcessDied, Watch, queue_processes


@pytest.fixture(scope="module")
def local_ray():
    ray.init(address="local", num_cpus=8, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.05)


@pytest.fixture
def two(local_ray):
    """Two actors and the process of the second."""

    class Busy:  # a class of this place travels by value: Ray's workers do not find the tests
        def pid(self) -> int:
            return os.getpid()

        def work(self, seconds: float) -> None:
            time.sleep(seconds)

    actors = [ray.remote(Busy).options(num_cpus=0).remote() for _ in range(2)]
    return actors, ray.get([actor.pid.remote() for actor in actors])[1]


WAITS = {
    "a lock": lambda busy: threading.Event().wait(60),
    "the clock": lambda busy: time.sleep(60),
    "Ray": lambda busy: ray.get(busy.work.remote(60)),
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_death_ends_a_wait_with_the_name_of_what_died(two, wait):
    actors, pid = two
    kinds = {"first kind": actors[:1], "second kind": actors[1:]}
    before = signal.getsignal(watch.SIGNAL)
    died = pytest.raises(ProcessDied, match=r"^the second kind has died, which the run waits for: .*Busy.*")
    with died, Watch(kinds, patience=0.2):
        os.kill(pid, signal.SIGKILL)
        WAITS[wait](actors[0])  # which lives, and answers in a minute
    assert signal.getsignal(watch.SIGNAL) is before


def test_who_notices_by_itself_is_left_to_tell(two):
    actors, pid = two
    with pytest.raises(ray.exceptions.ActorDiedError), Watch({"kind": actors}, patience=60):
        os.kill(pid, signal.SIGKILL)
        ray.get(actors[1].work.remote(0.1))


def test_a_run_that_saves_what_it_has_learnt_is_left_alone_until_it_has(two):
    actors, pid = two
    saved = []
    with pytest.raises(ProcessDied), Watch({"kind": actors}, patience=0.2) as known:
        with known.held():
            os.kill(pid, signal.SIGKILL)
            time.sleep(1.5)  # several times as long as it takes to be told
            saved.append("all of it")
        time.sleep(60)
    assert saved == ["all of it"]


class Waiting(PatientTrainer):
    """One of a mode that does nothing around its waits."""

    on_sample_end = on_step_end = None


@pytest.mark.parametrize("name", ["rollout server", "agent loop worker", "worker of the actor"])
def test_who_waits_for_rollouts_is_told_that_they_have_failed_where_the_weights_are_safe(two, name):
    actors, pid = two
    trainer = object.__new__(Waiting)
    trainer.patience = Patience(PATIENCE_SECONDS, "have more")
    trainer.looks = Looks(0.01, trainer.patience.news)
    kind = ProcessDied if name == "worker of the actor" else RolloutFailure
    told = pytest.raises(kind, match=f"^the {name} has died, which the run waits for: ")
    with told, Watch({name: actors}, patience=0.2) as trainer.watch, trainer.collecting():
        os.kill(pid, signal.SIGKILL)
        time.sleep(60)


def test_one_that_is_busy_is_not_dead_and_after_the_end_nobody_is_told(two):
    actors, pid = two
    with Watch({"kind": actors}, patience=0):
        work = [actor.work.remote(0.6) for actor in actors]
        time.sleep(0.4)
        ray.get(work)
        time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)


def test_a_save_that_asks_a_queue_that_lives_is_left_alone(local_ray, two):
    transfer_queue.init()
    actors, pid = two
    try:
        with pytest.raises(ProcessDied), Watch({"agent loop worker": actors}, patience=0.2) as known:
            with known.held():
                os.kill(pid, signal.SIGKILL)
                end, asked = time.monotonic() + 1.5, 0
                while time.monotonic() < end:
                    transfer_queue.kv_list()
                    asked += 1
            time.sleep(60)
        assert asked > 0
    finally:
        transfer_queue.close()


@pytest.mark.parametrize("saving", [False, True])
def test_a_queue_that_does_not_answer_any_more_ends_the_wait_for_it(local_ray, saving):
    transfer_queue.init()
    try:
        transfer_queue.kv_list()
        found = queue_processes()
        assert len(found["controller of the TransferQueue"]) == 1 and found["storage of the TransferQueue"]
        title = "ray::TransferQueueController"
        (pid,) = [process.pid for process in psutil.process_iter() if title in own_title(process)]
        died = pytest.raises(ProcessDied, match="^the controller of the TransferQueue has died")
        with died, Watch(found, patience=0.2) as known, known.held() if saving else nullcontext():
            os.kill(pid, signal.SIGKILL)
            time.sleep(1.5 if saving else 0)  # what a save does beside is left alone
            transfer_queue.kv_list()  # by itself this never returns
    finally:
        transfer_queue.close()


def own_title(process: psutil.Process) -> str:
    """The name of a process of this test's Ray; empty for others."""
    with suppress(psutil.Error):
        if psutil.Process().pid in [parent.pid for parent in process.parents()]:
            return " ".join(process.cmdline())
    return ""


# Keeping Python's lock, in which no other thread of a process runs.
STANDS = """
import ctypes, sys, time
from verl_dots.bridge.trainer import watch
watch.CLOSING_SECONDS = 0.5

def keeps_the_lock():
    ctypes.PyDLL(None).sleep(60)

def fails_and_closes():
    try:
        with watch.ends_in_time(0.5):
            raise RuntimeError("the run has failed")
    finally:
        keeps_the_lock()

def is_told_of_a_death():
    seen = watch.Watch({}, patience=0.2)
    seen.death = watch.ProcessDied("queue", "it is gone")
    with seen:
        time.sleep(0.1)
        keeps_the_lock()

globals()[sys.argv[1]]()
"""


@pytest.mark.parametrize("how", ["fails_and_closes", "is_told_of_a_death"])
def test_a_process_in_which_nothing_runs_any_more_ends_with_a_trace(how):
    command = [sys.executable, "-c", STANDS, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, cwd=ROOT)
    assert done.returncode == 1
    assert "Timeout" in done.stderr and "in keeps_the_lock" in done.stderr and f"in {how}" in done.stderr
