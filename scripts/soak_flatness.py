"""Whether figures of a long run stay as they are: a slope of each with its interval, and a figure of all."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy.stats import theilslopes

from scripts.soak_reading import DISK, FILES, JOURNALS, MEMORY, PROCESSES, RAY_LOGS, THREADS, Sample
from verl_dots.reporting.drawing import COLOURS, DASHES, MARKERS, STYLE, save

PER = 1000  # steps that a slope is told for
BLOCKS = 20  # of samples, each of which counts by its median: neighbours are alike, and would make intervals too narrow
CONFIDENCE = 0.95
STEP, TIME = "step", "time (s)"
# Growth in `PER` steps that is none: what caches and allocators still take, and what a run writes for each step.
ALLOWED = {MEMORY: 32.0, FILES: 2.0, THREADS: 2.0, PROCESSES: 1.0, DISK: 16.0}
WRITTEN = {JOURNALS: 64.0, RAY_LOGS: 64.0}  # rows of metrics.jsonl, lines of logs
ALLOWED_TIME = 0.05  # of the median step

Series = Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Slope:
    """How a figure changes.

    Attributes:
        of, quantity: what it is a figure of, and which.
        level: its median.
        change, low, high: in `PER` steps, with the bounds of the interval.
        allowed: the greatest that is none.
    """

    of: str
    quantity: str
    level: float
    change: float
    low: float
    high: float
    allowed: float

    @property
    def verdict(self) -> str:
        """ "flat" where the whole interval is allowed, "grows" where none of it is, "unclear" in between."""
        if self.high <= self.allowed:
            return "flat"
        return "grows" if self.low > self.allowed else "unclear"

    def __str__(self) -> str:
        change = f"{self.change:+.3g} ({self.low:+.3g} to {self.high:+.3g})"
        return f"{self.of}, {self.quantity}: {self.level:.4g}, {change} in {PER} steps: {self.verdict}"


def series_of(samples: Sequence[Sample], step_times: Mapping[int, float]) -> Series:
    """(of, quantity) -> steps and values of the launch with the most steps, in order.

    Args:
        samples: of all launches.
        step_times: seconds of each step.
    """
    reach = defaultdict(set)
    for sample in samples:
        reach[sample.launch].add(sample.step)
    longest = max(reach, key=lambda launch: (max(reach[launch]) - min(reach[launch]), launch))
    found: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for sample in samples:
        if sample.launch == longest:
            found[sample.of, sample.quantity].append((sample.step, sample.value))
    first, last = min(reach[longest]), max(reach[longest])
    found[STEP, TIME] = sorted((step, seconds) for step, seconds in step_times.items() if first < step <= last)
    return {key: tuple(np.array(points, dtype=float).T) for key, points in found.items() if points}


def slopes(series: Series, after: int) -> list[Slope]:
    """The slope of each figure that is there in two blocks or more.

    Args:
        series: see `series_of`.
        after: step from which figures count; before it buffers and caches fill.
    """
    found = []
    for (of, quantity), (step_N, value_N) in series.items():
        counts_N = step_N >= after
        step_B, value_B = blocks(step_N[counts_N], value_N[counts_N])
        if len(step_B) < 2:
            continue
        change, _, low, high = (PER * value for value in theilslopes(value_B, step_B, CONFIDENCE))
        level = float(np.median(value_B))
        allowed = WRITTEN.get(of, ALLOWED.get(quantity, ALLOWED_TIME * level))
        found.append(Slope(of, quantity, level, change, low, high, allowed))
    return found


def blocks(step_N: np.ndarray, value_N: np.ndarray, count: int = BLOCKS) -> tuple[np.ndarray, np.ndarray]:
    """[B] middle and median of the samples in each of `count` equal parts of the steps; empty parts are left out."""
    if not len(step_N):
        return np.empty(0), np.empty(0)
    edges = np.linspace(step_N.min(), step_N.max(), count + 1)
    place_N = np.clip(np.searchsorted(edges, step_N, side="right") - 1, 0, count - 1)
    there = sorted(set(place_N.tolist()))
    medians = [(np.median(step_N[place_N == place]), np.median(value_N[place_N == place])) for place in there]
    return tuple(np.array(medians).T)


def draw(series: Series, stem: Path, kinds: Sequence[str] = ("png", "svg"), samples: bool = True) -> None:
    """Write `stem`.png and `stem`.svg: a panel for each quantity, a line for each role or folder.

    Args:
        kinds: of the files.
        samples: show each one, faintly, behind the medians of blocks.
    """
    quantities = list(dict.fromkeys(quantity for _, quantity in series))
    names = list(dict.fromkeys(of for of, _ in series))
    with rc_context(STYLE):
        figure = Figure(figsize=(15, 3.6 * -(-len(quantities) // 2)))
        panels = np.atleast_1d(figure.subplots(-(-len(quantities) // 2), 2)).ravel()
        for panel in panels[len(quantities) :]:
            panel.set_visible(False)
        for panel, quantity in zip(panels, quantities, strict=False):
            for place, name in enumerate(names):
                if (name, quantity) not in series:
                    continue
                step_N, value_N = series[name, quantity]
                look = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}
                dashes = DASHES[place // len(COLOURS) % len(DASHES)]
                if samples:
                    panel.plot(step_N, value_N, alpha=0.25, linewidth=1, color=look["color"])
                panel.plot(*blocks(step_N, value_N), label=name, linestyle=dashes, **look)
            panel.set(xlabel="step", ylabel=quantity)
            if quantity == DISK or (panel.get_lines() and min(panel.get_ylim()) < 0):
                panel.set_ylim(bottom=0)
        of_name = {line.get_label(): line for panel in panels for line in panel.get_lines()}
        shown = [name for name in names if name in of_name]
        bottom = 1.0 / figure.get_figheight()  # an inch, and the panels above it
        figure.legend([of_name[name] for name in shown], shown, loc="lower center", ncols=6)
        figure.set_layout_engine("constrained", rect=(0, bottom, 1, 1 - bottom))
        if "png" in kinds:
            save(figure, stem.with_name(f"{stem.name}.png"))
        if "svg" in kinds:
            figure.savefig(stem.with_name(f"{stem.name}.svg"), format="svg", metadata={"Date": None})
