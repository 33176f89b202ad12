"""How what was measured grows with a size: exponents of power laws, and what grows faster than a bound."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

BOUND = 1.3
# Of a stage that takes less at its greatest size the growth is not told: it would be that of noise.
LEAST_SECONDS, LEAST_BYTES = 0.1, 64 << 20
AXES = {"rows": "tokens", "tokens": "rows"}  # what grows -> what stays


def exponent(size_N: Sequence[float], value_N: Sequence[float]) -> float:
    """The slope of a line through log(value) over log(size), by least squares: 1 for a cost in proportion.

    Args:
        size_N: two different sizes or more, above 0.
        value_N: above 0.

    Raises:
        ValueError: fewer sizes, or a value that has no logarithm.
    """
    if len(set(size_N)) < 2 or min(*size_N, *value_N) <= 0:
        raise ValueError(f"sizes {list(size_N)} and values {list(value_N)}: two sizes or more, and all above 0")
    return float(np.polyfit(np.log(size_N), np.log(value_N), deg=1)[0])


@dataclass(frozen=True)
class Growth:
    """What a figure of a stage does along one axis.

    Attributes:
        stage: its name.
        figure: "seconds" or "bytes".
        axis: "rows" or "tokens".
        at: the size of the other axis.
        fitted: the exponent over all sizes; parts that do not grow make it small.
        last: that between the two greatest sizes, which they hide less.
    """

    stage: str
    figure: str
    axis: str
    at: int
    fitted: float
    last: float

    @property
    def greatest(self) -> float:
        return max(self.fitted, self.last)


def cpu_of(part: Mapping[str, float]) -> float:
    """CPU seconds of driver and queue in a stage of a step."""
    return part["driver_cpu"] + part["queue_cpu"]


def seconds_of(cell: Mapping[str, Any], stage: str) -> list[float]:
    """CPU seconds of a stage in each measured step of a size."""
    return [cpu_of(step[stage]) for step in cell["steps"] if stage in step]


def bytes_of(cell: Mapping[str, Any], what: str) -> int:
    """Greatest bytes of the "driver" or the "queue" in any stage, above those before the first step; or "replay"."""
    if what == "replay":
        return cell["replay_bytes"]
    peaks = [part[f"{what}_peak"] for step in cell["steps"] for part in step.values()]
    return max(peaks) - cell["idle"][what]


def stages_of(cells: Sequence[Mapping[str, Any]], left_out: Sequence[str] = ()) -> list[str]:
    """Names of all stages, those that take most first."""
    names = {name for cell in cells for step in cell["steps"] for name in step} - set(left_out)
    most = {name: max(median(seconds_of(cell, name) or [0.0]) for cell in cells) for name in names}
    return sorted(names, key=lambda name: (-most[name], name))


def growths(cells: Sequence[Mapping[str, Any]], stages: Sequence[str]) -> list[Growth]:
    """Growth of seconds by stage and of bytes by holder, along both axes, where it is above noise."""
    found = []
    for axis, other in AXES.items():
        for at in sorted({cell[other] for cell in cells}):
            line = sorted((cell for cell in cells if cell[other] == at), key=lambda cell: cell[axis])
            for stage in stages:
                values = [median(seconds_of(cell, stage) or [0.0]) for cell in line]
                found += _grown(stage, "seconds", axis, at, line, values, LEAST_SECONDS)
            for what in ("driver", "queue", "replay"):
                found += _grown(what, "bytes", axis, at, line, [bytes_of(cell, what) for cell in line], LEAST_BYTES)
    return found


def _grown(
    stage: str,
    figure: str,
    axis: str,
    at: int,
    line: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    least: float,
) -> Iterator[Growth]:
    told = [(cell[axis], value) for cell, value in zip(line, values, strict=True) if value > 0]
    if len(told) >= 2 and told[-1][1] >= least:
        sizes, kept = zip(*told, strict=True)
        yield Growth(stage, figure, axis, at, exponent(sizes, kept), exponent(sizes[-2:], kept[-2:]))


def superlinear(found: Sequence[Growth], bound: float = BOUND) -> list[str]:
    """Stages and holders that grow faster than the bound anywhere, with figure and axis, each once."""
    return sorted({f"{each.stage} ({each.figure} with {each.axis})" for each in found if each.greatest > bound})


def reckoned(cells: Sequence[Mapping[str, Any]], what: str, rows: int, tokens: int) -> float:
    """Bytes at a size that was not measured: those of the greatest one, in proportion to rows times tokens."""
    largest = max(cells, key=lambda cell: cell["rows"] * cell["tokens"])
    return bytes_of(largest, what) * (rows * tokens) / math.prod((largest["rows"], largest["tokens"]))
