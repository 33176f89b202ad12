"""What a long run is judged by: slopes, their intervals, and what a look at processes finds."""

import json
import os
import subprocess
import sys

import numpy as np
import psutil
import pytest

from scripts import soak, soak_page
from scripts.soak_flatness import Slope, blocks, series_of, slopes
from scripts.soak_reading import (
    ALL,
    CHECKPOINTS,
    DISK,
    FILES,
    JOURNALS,
    MEMORY,
    THREADS,
    Sample,
    append,
    folder_bytes,
    look,
    read,
)  # fmt: skip


def line(quantity, of="engine", change=0.0, level=100.0, noise=0.0, steps=2000, launch=0):
    """Samples each 5 steps of a figure that changes by so much in 1000 steps."""
    drawn = np.random.default_rng(1).normal(scale=noise, size=steps // 5 + 1)
    return [
        Sample(launch, 0.0, step, of, quantity, level + change * step / 1000 + float(drawn[place]))
        for place, step in enumerate(range(0, steps + 1, 5))
    ]


def judged(samples, times=None, after=500):
    return slopes(series_of(samples, times or {}), after)


@pytest.mark.parametrize(
    ("quantity", "change", "noise", "verdict"),
    [
        (MEMORY, 0, 0, "flat"), (MEMORY, 0, 10, "flat"), (MEMORY, 31, 0, "flat"), (MEMORY, 33, 0, "grows"),
        (MEMORY, 80, 10, "grows"), (MEMORY, -500, 10, "flat"), (MEMORY, 30, 40, "unclear"),
        (FILES, 1, 0, "flat"), (FILES, 10, 0.5, "grows"), (THREADS, 3, 0, "grows"), (DISK, 17, 0, "grows"),
    ],
)  # fmt: skip
def test_a_figure_is_flat_where_its_whole_interval_is_allowed(quantity, change, noise, verdict):
    (slope,) = judged(line(quantity, change=change, noise=noise))
    assert slope.verdict == verdict, str(slope)
    assert slope.low <= slope.change <= slope.high and slope.low - 1e-6 <= change + 3 * noise


def test_a_slope_without_noise_is_exact_and_told_with_its_interval():
    (slope,) = judged(line(MEMORY, change=40.0, level=200.0))
    assert (slope.change, slope.low, slope.high) == pytest.approx((40.0, 40.0, 40.0))
    assert str(slope) == "engine, memory (MiB): 249.9, +40 (+40 to +40) in 1000 steps: grows"


def test_what_fills_before_the_first_counted_step_does_not_count():
    filling = [Sample(0, 0.0, step, "engine", MEMORY, min(step, 1500)) for step in range(0, 2001, 5)]
    assert [slope.verdict for slope in judged(filling, after=1500)] == ["flat"]
    assert [slope.verdict for slope in judged(filling, after=0)] != ["flat"]


def test_the_launch_with_the_most_steps_is_judged_and_the_time_of_its_steps():
    first, second = line(MEMORY, change=90, steps=300), line(MEMORY, steps=2000, launch=1)
    times = {step: 2.0 + step / 1000 for step in range(1, 2001)}
    memory, seconds = judged(first + second, times)
    assert memory.verdict == "flat" and seconds.change == pytest.approx(1.0) and seconds.verdict == "grows"
    # 5 % of the median of 3.25 s is allowed.
    assert seconds.allowed == pytest.approx(0.05 * 3.25, rel=0.01)


def test_journals_may_grow_by_what_a_run_writes_and_checkpoints_may_not():
    found = judged(line(DISK, of=JOURNALS, change=50) + line(DISK, of=CHECKPOINTS, change=50))
    assert {slope.of: slope.verdict for slope in found} == {JOURNALS: "flat", CHECKPOINTS: "grows"}


def test_blocks_have_medians_and_empty_ones_are_left_out():
    steps, values = blocks(np.array([0.0, 1.0, 2.0, 100.0]), np.array([1.0, 9.0, 2.0, 5.0]), count=10)
    assert steps.tolist() == [1.0, 100.0] and values.tolist() == [2.0, 5.0]
    assert not len(blocks(np.empty(0), np.empty(0))[0])


def test_a_look_finds_a_processs_memory_files_and_threads(tmp_path):
    (tmp_path / "global_step_1").mkdir()
    (tmp_path / "global_step_1" / "model").write_bytes(bytes(3 * 2**20))
    (tmp_path / "train.log").write_bytes(bytes(2**20))
    holds = "held = bytearray(64 * 2**20); files = [open('/dev/null') for _ in range(7)]"
    code = f"import sys; {holds}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = {(s.of, s.quantity): s.value for s in look(psutil.Process(child.pid), tmp_path, 0, 4)}
        files = len(os.listdir(f"/proc/{child.pid}/fd"))
        child.stdin.close()
    assert 64 <= found[ALL, MEMORY] < 100 and found[ALL, FILES] == files >= 10 and found[ALL, THREADS] == 1
    assert (found[CHECKPOINTS, DISK], found[JOURNALS, DISK]) == (3.0, 1.0) == (3.0, folder_bytes(tmp_path) / 2**20 - 3)


def test_samples_are_read_as_they_were_written_and_a_cut_off_row_is_left_out(tmp_path):
    samples = line(MEMORY, steps=10)
    append(tmp_path / "samples.csv", samples[:1])
    append(tmp_path / "samples.csv", samples[1:])
    assert read(tmp_path / "samples.csv") == samples
    with (tmp_path / "samples.csv").open("a") as file:
        file.write("0,1.0,15")
    assert read(tmp_path / "samples.csv") == samples


def test_a_complete_run_is_judged_anew_without_another(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    rows = [f'{{"step": {step}, "timing_s/step": 2.0}}\n' for step in range(1, 2001)]
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(rows))
    append(tmp_path / "samples.csv", line(MEMORY) + line(FILES))
    assert soak.main(["--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "flat: all of 3 figures"
    assert (tmp_path / "soak.png").stat().st_size > 1000 and "<svg" in (tmp_path / "soak.svg").read_text()
    append(tmp_path / "samples.csv", line(THREADS, change=50))
    assert soak.main(["--out", str(tmp_path)]) == 1
    assert "not flat: 1 of 4 figures: engine, threads grows" in capsys.readouterr().out


def test_a_kept_run_is_a_section_of_the_results(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    rows = [
        {"step": step, "wall_seconds": step, "timing_s/step": 2.0, "val-core/a/acc/mean@1": 0.5}
        for step in (0, 1000, 2000)
    ]
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "run" / "run.json").write_text(json.dumps({"name": "all", "seed": 1, "commit": "0123456789ab"}))
    append(tmp_path / "samples.csv", line(MEMORY, of="all processes", change=100.0) + line(MEMORY) + line(THREADS))
    monkeypatch.setattr(soak, "KEPT", tmp_path / "soak.json")
    assert soak.main(["--out", str(tmp_path), "--keep", "--note", "Nothing ran beside it."]) == 1
    assert (tmp_path / "soak.svg").stat().st_size > 1000
    text = soak_page.section(tmp_path / "soak.json")
    assert "commit 01234567." in text and "Nothing ran beside it." in text
    assert "+100 (+100 to +100)" in text and "grows" in text
    assert "| engine, memory (MiB)" in text and "engine, threads" not in text
    assert text.endswith("3 of 4 figures are flat; the table shows 3 of 4.\n") and "may rise by" in text
    kept = json.loads((tmp_path / "soak.json").read_text())
    for first, told in ((1, "those from 500 on are judged."), (602, "all are judged.")):
        (tmp_path / "soak.json").write_text(json.dumps(kept | {"first": first, "last": 1999, "after": 500}))
        assert f"made the steps {first} to 1999, and {told}" in soak_page.section(tmp_path / "soak.json")


def test_seconds_of_a_step_are_without_its_checkpoint():
    rows = {0: {}, 1: {"timing_s/step": 3.0}, 2: {"timing_s/step": 5.0, "timing_s/save_checkpoint": 1.5}}
    assert soak.step_times(rows) == {1: 3.0, 2: 3.5}


def test_the_last_line_names_what_is_not_flat():
    flat = Slope("engine", MEMORY, 1, 0, 0, 0, 1)
    grows = Slope("Ray", FILES, 1, 5, 4, 6, 1)
    assert soak.verdict([flat, grows]) == "not flat: 1 of 2 figures: Ray, open files grows"
