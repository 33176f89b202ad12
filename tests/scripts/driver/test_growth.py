"""Exponents by hand, and a stage that is quadratic on purpose."""

import os
import time

import pytest

from scripts.driver.growth import exponent, growths, reckoned, stages_of, superlinear
from scripts.driver.meters import AWAY, Meters


def cell(rows, tokens, driver_peak=1 << 30, replay=1 << 28, **seconds):
    """A size, given the CPU seconds of each stage."""
    part = {"wall": 9.0, "driver_peak": driver_peak, "queue_peak": 2 << 30, "driver_kept": 0}
    step = {name: part | {"driver_cpu": value / 2, "queue_cpu": value / 2} for name, value in seconds.items()}
    idle = {"driver": 0, "queue": 0}
    code = {"commit": "0123456789abcdef", "date": "2026-01-02"}
    return code | {"rows": rows, "tokens": tokens, "idle": idle, "steps": [step, step], "replay_bytes": replay}


def test_exponents_of_powers():
    assert exponent([1, 2, 4], [3.0, 6.0, 12.0]) == pytest.approx(1.0)
    assert exponent([10, 100], [1.0, 100.0]) == pytest.approx(2.0)
    assert exponent([1, 16], [5.0, 5.0]) == pytest.approx(0.0, abs=1e-12)
    # Slope of (0, 0), (1, 1), (2, 4) by least squares: sum of (x - 1)(y - 5/3) is 4, of (x - 1)^2 is 2.
    assert exponent([1, 2, 4], [1.0, 2.0, 16.0]) == pytest.approx(2.0)


@pytest.mark.parametrize(("sizes", "values"), [([4, 4], [1.0, 1.0]), ([1, 2], [0.0, 1.0])])
def test_no_exponent_of_one_size_or_of_nothing(sizes, values):
    with pytest.raises(ValueError, match="two sizes or more"):
        exponent(sizes, values)


def test_what_grows_faster_than_the_bound_is_named_with_its_axis():
    cells = [
        cell(256, 2048, square=0.125, line=0.5, tiny=0.001),
        cell(1024, 2048, square=2.0, line=2.0, tiny=0.016),  # 4 times the rows, 16 times the seconds
        cell(1024, 8192, square=2.0, line=8.0, tiny=0.016),
    ]
    found = growths(cells, stages_of(cells))
    by_stage = {(each.stage, each.axis): each.greatest for each in found if each.figure == "seconds"}
    assert by_stage == {
        ("square", "rows"): pytest.approx(2.0), ("line", "rows"): pytest.approx(1.0),
        ("square", "tokens"): pytest.approx(0.0), ("line", "tokens"): pytest.approx(1.0),
    }  # fmt: skip
    assert superlinear(found) == ["square (seconds with rows)"]
    assert superlinear(found, bound=0.9) == ["line (seconds with rows)", "line (seconds with tokens)",
                                             "square (seconds with rows)"]  # fmt: skip


def test_a_part_that_does_not_grow_hides_no_quadratic_one():
    # 1 s and a millionth of the square of the rows: 1.07, 2.05, 17.8; the last two sizes are told by themselves.
    cells = [cell(rows, 2048, mixed=1 + 1e-6 * rows**2) for rows in (256, 1024, 4096)]
    (mixed,) = [each for each in growths(cells, ["mixed"]) if each.figure == "seconds"]
    assert mixed.fitted == pytest.approx(1.013, abs=0.01) and mixed.last == pytest.approx(1.56, abs=0.01)
    assert superlinear([mixed]) == ["mixed (seconds with rows)"]


def test_memory_that_grows_with_the_square_is_named():
    cells = [cell(256, 2048, driver_peak=100 << 20, a=1.0), cell(512, 2048, driver_peak=400 << 20, a=2.0)]
    assert superlinear(growths(cells, ["a"])) == ["driver (bytes with rows)"]


def test_a_size_that_was_not_measured_is_in_proportion_to_the_largest():
    cells = [cell(256, 2048, replay=1), cell(1024, 8192, replay=100)]
    assert reckoned(cells, "replay", 2048, 8192) == 200


def test_a_quadratic_stage_is_found_by_the_meters():
    def pairs(count):
        return sum(1 for one in range(count) for other in range(count) if one > other)

    cells = []
    with Meters(driver=os.getpid(), queue=[]) as meters:
        for rows in (2000, 5000):
            with meters.stage("outer"), meters.stage("pairs"):
                pairs(rows)
            with meters.stage("outer"), meters.stage("line"):
                sum(range(rows * 1000))
            step = {name: vars(part) for name, part in meters.take().items()}
            cells.append(cell(rows, 8, pairs=1.0) | {"steps": [step]})
    assert superlinear(growths(cells, ["pairs", "line"])) == ["pairs (seconds with rows)"]


def test_a_stage_is_told_without_the_stages_within_it():
    with Meters(driver=os.getpid(), queue=[]) as meters:
        with meters.stage("outer"), meters.away():
            began = time.process_time()
            while time.process_time() - began < 0.2:
                pass
            held = bytearray(64 << 20)
        parts = meters.take()
    assert parts["outer"].driver_cpu < 0.1 <= parts[AWAY].driver_cpu and len(held)
    assert parts["outer"].driver_kept > 60 << 20 and parts[AWAY].driver_kept > 60 << 20
    assert meters.parts == {}
