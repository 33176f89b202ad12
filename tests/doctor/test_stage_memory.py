"""Memory by stage: samples, and when a step was in which stage."""

import json
import os
import time

import pytest

from verl_dots.doctor.stage_memory import SAMPLE_SECONDS, Sample, Watched, memory_text, peaks, spans, watching
from verl_dots.sizes import GB

# A step that ends at 100 s: rollouts from 90, log-probs from 94, update from 95, save from 97, weights from 99.
ROWS = {
    2: {
        "timing_s/gen": 4.0, "timing_s/old_log_prob": 1.0, "timing_s/update_actor": 2.0,
        "timing_s/save_checkpoint": 2.0, "timing_s/update_weights": 1.0, "timing_s/step": 10.0,
        "actor/perf/max_memory_allocated_gb": 40.0,
    }
}  # fmt: skip


def seen(gpu: bool) -> Watched:
    taken = {89.0: 9, 91.0: 1, 93.0: 2, 94.5: 3, 96.0: 5, 98.0: 4, 101.0: 8}
    return Watched(
        [Sample(at, size * GB, size * GB // 2, 10 * size * GB if gpu else None) for at, size in taken.items()],
        {2: 100.0},
    )


def test_stages_lie_back_to_back_before_the_row():
    found = {stage: (begin, end) for stage, begin, end in spans(ROWS, {2: 100.0})}
    assert found == {
        "gen": (90, 94), "old_log_prob": (94, 95), "update_actor": (95, 97), "save_checkpoint": (97, 99),
        "update_weights": (99, 100),
    }  # fmt: skip


def test_a_stage_has_the_greatest_of_its_samples_and_none_without():
    found = peaks(ROWS, seen(gpu=False))
    assert {stage: sample.seconds for stage, sample in found.items()} == {
        "gen": 93, "old_log_prob": 94.5, "update_actor": 96, "save_checkpoint": 98,
    }  # fmt: skip


def test_memory_is_of_the_greatest_process_and_with_gpus_of_the_fullest():
    assert memory_text(ROWS, seen(gpu=False)) == (
        "RAM: 9.0 GB; the greatest process: rollouts 1.00 GB, log-probs 1.50 GB, update 2.50 GB, save 2.00 GB"
    )
    assert memory_text(ROWS, seen(gpu=True)) == (
        "RAM: 9.0 GB; a GPU: rollouts 20.00 GB, log-probs 30.00 GB, update 50.00 GB, save 40.00 GB, 90.0 GB at most; "
        "torch in the update 42.9 GB"  # 40 GiB
    )
    assert memory_text({}, Watched()).endswith("no stage was long enough to be seen")


@pytest.mark.parametrize("there", [False, True])
def test_rows_that_come_while_it_watches_have_their_time(tmp_path, there):
    """Those of a run that is resumed were there before."""
    file = tmp_path / "metrics.jsonl"
    if there:
        file.write_text(json.dumps({"step": 1}) + "\n")
    began = time.monotonic()
    with watching(os.getpid(), file) as found:
        with file.open("a") as out:
            out.write(json.dumps({"step": 2}) + "\n" + '{"step": 3')  # of which the end is not there yet
        while 2 not in found.ended and time.monotonic() - began < 60:
            time.sleep(SAMPLE_SECONDS)
    assert set(found.ended) == {2} and found.ended[2] >= began
    assert found.samples[0].process > 10**6
