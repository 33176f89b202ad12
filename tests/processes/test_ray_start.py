"""Ray's start, given up by Ray and tried again; and ports that nobody else is given."""

import os
from itertools import count
from pathlib import Path

import pytest
import ray

from verl_dots.bridge.trainer.worker_ports import LEAST, MOST, port_range
from verl_dots.processes.ray_start import GAVE_UP, TRIES, counted_cpus, with_patience

LATE = f"The current node {GAVE_UP}. This could happen because some of the raylet failed to startup"


def failing(times: int, message: str):
    """A start that fails so often, and the numbers of its calls."""
    numbers = count(1)
    calls = []

    def start():
        calls.append(next(numbers))
        if calls[-1] <= times:
            raise Exception(message)

    return start, calls


def test_a_start_that_ray_gives_up_is_tried_again():
    start, calls = failing(2, LATE)
    with_patience(start, started=lambda: False)
    assert calls == [1, 2, 3] == [*range(1, TRIES + 1)]


@pytest.mark.parametrize(
    ("times", "message", "started", "expected"),
    [(9, LATE, False, TRIES), (1, "no such model", False, 1), (1, LATE, True, 1)],
)
def test_all_else_ends_at_once_and_the_third_time_is_the_last(times, message, started, expected):
    start, calls = failing(times, message)
    with pytest.raises(Exception, match=message[:20]):
        with_patience(start, started=lambda: started)
    assert len(calls) == expected


def test_ray_still_raises_what_is_waited_for():
    import ray._private.node

    assert GAVE_UP in " ".join(Path(ray._private.node.__file__).read_text().replace('"', "").split())


def test_cpus_are_counted_as_ray_counts_them_whatever_cores_it_may_use():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        ray.init(address="local", include_dashboard=False, log_to_driver=False)
        assert ray.cluster_resources()["CPU"] == counted_cpus() > 0
    finally:
        ray.shutdown()
        os.sched_setaffinity(0, allowed)


def test_ports_of_workers_are_drawn_apart_from_those_that_the_system_gives_away():
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = {port_range()[0] for _ in range(50)}
    assert all(LEAST <= port < MOST for port in first) and len(first) > 40
    if given.exists():
        assert int(given.read_text().split()[0]) >= MOST
