import gc
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scripts.driver.meters import COLLECTION, Meters


@pytest.fixture
def meters():
    with Meters(os.getpid(), []) as meters:
        yield meters


def test_what_a_stage_within_takes_is_not_the_outer_ones(meters):
    with meters.stage("outer"):
        time.sleep(0.02)
        with meters.stage("inner"):
            time.sleep(0.2)
    parts = meters.take()
    assert parts["inner"].wall >= 0.2
    assert 0.02 <= parts["outer"].wall < 0.2
    assert meters.take() == {}


def test_a_pass_over_all_objects_is_no_part_of_the_stage_that_it_falls_into(meters):
    kept = [[number] for number in range(1_000_000)]
    with meters.stage("stage"):
        gc.collect()
    parts = meters.take()
    assert set(parts) == {"stage", COLLECTION}
    assert parts[COLLECTION].driver_cpu > 10 * parts["stage"].driver_cpu
    assert len(kept) == 1_000_000


def test_so_is_a_pass_that_another_thread_makes(meters):
    kept = [[number] for number in range(1_000_000)]
    with meters.stage("stage"), ThreadPoolExecutor(1) as pool:
        pool.submit(gc.collect).result(60)
    parts = meters.take()
    assert parts[COLLECTION].wall > 10 * parts["stage"].wall
    assert len(kept) == 1_000_000


def test_a_pass_outside_of_all_stages_is_not_accounted(meters):
    gc.collect()
    assert meters.take() == {}


def test_young_objects_passes_stay_with_their_stage(meters):
    with meters.stage("stage"):
        gc.collect(0)
        gc.collect(1)
    assert set(meters.take()) == {"stage"}


def test_nothing_is_called_after_the_end():
    before = list(gc.callbacks)
    with Meters(os.getpid(), []):
        assert len(gc.callbacks) == len(before) + 1
    assert gc.callbacks == before
