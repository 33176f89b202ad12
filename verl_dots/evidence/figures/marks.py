"""Which methods share a figure, which lines are the same, and where markers stand. Pure functions.

Axis suffix: `_E` the points of a line, `_M` those of them that have a marker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from verl_dots.evidence.figures.seeds import Line
from verl_dots.evidence.methods import BASELINE, MAIN

MOST_LINES = 6  # of a panel
MARKERS_OF_A_LINE = 4
APART = 0.018  # of all lines' width, between markers side by side
SAME = 0.005  # of the range of a panel: lines no further apart cover each other
_CLOSE = 0.01  # of all lines' width: markers no further apart than that stand side by side


def pages(methods: Sequence[str]) -> list[list[str]]:
    """The methods of each figure: all in one, or else those of `MAIN` first; the baseline is in every one.

    Args:
        methods: in the order in which they are shown.
    """
    if len(methods) <= MOST_LINES:
        return [list(methods)]
    main, baseline = [name for name in methods if name in MAIN], [name for name in methods if name == BASELINE]
    first = [main] if len(main) > len(baseline) else []
    rest = [name for name in methods if name not in ([*baseline, *main] if first else baseline)]
    room = MOST_LINES - len(baseline)
    return [*first, *([*baseline, *rest[start : start + room]] for start in range(0, len(rest), room))]


def same_lines(panels: Sequence[Mapping[str, Line]]) -> dict[str, str]:
    """Method -> one before it whose line and range over seeds cover its own, in every panel of either.

    Args:
        panels: lines by method, in the order in which methods are shown.
    """
    order = list(dict.fromkeys(name for lines in panels for name in lines))
    found: dict[str, str] = {}
    for place, name in enumerate(order):
        earlier = (other for other in order[:place] if other not in found)
        same = next((other for other in earlier if all(_same(lines, name, other) for lines in panels)), None)
        if same is not None:
            found[name] = same
    return found


def _same(lines: Mapping[str, Line], name: str, other: str) -> bool:
    if name not in lines or other not in lines:
        return (name in lines) == (other in lines)

    def covered(values: Callable[[Line], np.ndarray]) -> bool:
        first, second = values(lines[name]), values(lines[other])
        near = SAME * float(np.ptp([end for line in lines.values() for end in _ends(values(line))]))
        return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=near, equal_nan=True)

    return all(
        map(
            covered,
            (lambda line: line.x_E, lambda line: line.mean_E, lambda line: line.low_E, lambda line: line.high_E),
        )
    )


def _ends(values_E: np.ndarray) -> tuple[float, float]:
    return float(np.nanmin(values_E)), float(np.nanmax(values_E))


def marks(lines: Mapping[str, Line]) -> dict[str, tuple[list[int], np.ndarray]]:
    """Method -> places of the points that have a marker, and where on the horizontal axis each marker stands.

    Methods take turns, and all mark their last point. Markers of several methods at the same place stand side by side.
    """
    places = {name: marked(line.mean_E, turn) for turn, (name, line) in enumerate(lines.items())}
    at = {name: line.x_E[places[name]].astype(float) for name, line in lines.items()}
    every = np.concatenate([line.x_E for line in lines.values()])
    width = float(np.nanmax(every) - np.nanmin(every))
    points = sorted(
        (x, turn, name, place) for turn, (name, x_M) in enumerate(at.items()) for place, x in enumerate(x_M)
    )
    group: list[tuple[float, int, str, int]] = []
    for point in [*points, None]:
        if group and (point is None or point[0] - group[0][0] > _CLOSE * width):
            for rank, (_, _, name, place) in enumerate(sorted(group, key=lambda one: one[1])):
                at[name][place] += APART * width * (rank - (len(group) - 1) / 2)
            group = []
        group += [point] if point else []
    return {name: (places[name], at[name]) for name in lines}


def marked(values_E: np.ndarray, turn: int) -> list[int]:
    """Places of a line's markers: some at even distances, the last, and each point that no line leads to."""
    known_E = np.isfinite(values_E)
    beside_E = np.concatenate([[False], known_E[:-1]]) | np.concatenate([known_E[1:], [False]])
    every = max(1, math.ceil(len(values_E) / MARKERS_OF_A_LINE))
    place_E, last = np.arange(len(values_E)), len(values_E) - 1
    at_E = ((place_E + turn) % every == 0) & (place_E < last - every / 2)  # not too near to the last
    last_E = place_E == last
    return np.flatnonzero(known_E & (at_E | last_E | ~beside_E)).tolist()
