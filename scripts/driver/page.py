"""The kept measurements as a part of recipes/RESULTS.md."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from scripts.driver.growth import (
    BOUND,
    LEAST_SECONDS,
    Growth,
    bytes_of,
    cpu_of,
    growths,
    reckoned,
    seconds_of,
    stages_of,
    superlinear,
)
from scripts.driver.meters import AWAY
from verl_dots.evidence.cells import Column, Section, Table
from verl_dots.evidence.rendering import markdown

GIB, SHOWN, REST = 1 << 30, 12, "the other stages"
ASKED = (4096, 32768)  # rollouts and tokens that the section is about
TEXT = """## Large batches on the driver

All stages of a step ran on synthetic rollouts, through verl's TransferQueue with its own processes.
`python -m scripts.bench_driver --write` measures them. Forward passes and update were left out.
Columns of their shape take their place. Responses have an eighth of the greatest length to all of it.
Half of a batch is replayed. {machine} Growth is of CPU seconds.
Passes of Python's collector over all objects are a stage of their own; a step of a small size has few or none.

![CPU seconds and memory of the driver against rollouts and tokens](evidence/driver.svg)

"""


def largest(cells: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The size with most tokens, of equal ones with most rollouts."""
    return max(cells, key=lambda cell: (cell["rows"] * cell["tokens"], cell["rows"]))


def _asked_is_measured(cells: Sequence[Mapping[str, Any]]) -> bool:
    return any((cell["rows"], cell["tokens"]) == ASKED for cell in cells)


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else "–"


def _exponents(found: Sequence[Growth], stage: str, figure: str = "seconds") -> list[str]:
    """The greatest exponent of a stage along each axis, as text."""
    texts = []
    for axis in ("rows", "tokens"):
        of = [each.greatest for each in found if (each.stage, each.figure, each.axis) == (stage, figure, axis)]
        texts.append(f"{max(of):.2f}" if of else "–")
    return texts


def seconds_table(cells: Sequence[Mapping[str, Any]]) -> Table:
    """Stages of the largest size, those that take most first."""
    cell, stages = largest(cells), stages_of(cells, [AWAY])
    found, rows = growths(cells, stages), []
    by_cost = sorted(stages, key=lambda name: -median(seconds_of(cell, name) or [0.0]))
    for stage in by_cost[:SHOWN]:
        parts = [step[stage] for step in cell["steps"] if stage in step]
        peaks = [
            f"{(max(part[f'{who}_peak'] for part in parts) - cell['idle'][who]) / GIB:.2f}"
            for who in ("driver", "queue")
        ]
        wall = _spread([part["wall"] for part in parts])
        rows.append((stage, _spread(seconds_of(cell, stage)), wall, *peaks, *_exponents(found, stage)))
    others = [sum(cpu_of(step[name]) for name in by_cost[SHOWN:] if name in step)
              for step in cell["steps"]]  # fmt: skip
    rows.append((REST, _spread(others), "", "", "", "", ""))
    title = f"Stages of a step of {cell['rows']:,} rollouts of up to {cell['tokens']:,} tokens"
    heads = ("stage", "CPU (s)", "wall (s)", "driver (GiB)", "queue (GiB)", "with rollouts", "with tokens")
    return Table("driver", title, tuple(map(Column, heads)), (Section("", tuple(rows)),))


def memory_table(cells: Sequence[Mapping[str, Any]]) -> Table:
    """Peaks of driver, queue and replay at each size, and what they give for the size that was asked for."""
    found, rows = growths(cells, []), []
    holders = ("driver", "queue", "replay")
    for cell in sorted(cells, key=lambda cell: (cell["rows"], cell["tokens"])):
        sizes = [f"{bytes_of(cell, what) / GIB:.2f}" for what in holders]
        rows.append((f"{cell['rows']:,} of {cell['tokens']:,}", *sizes))
    if not _asked_is_measured(cells):
        sizes = [f"{reckoned(cells, what, *ASKED) / GIB:.1f}" for what in holders]
        rows.append((f"{ASKED[0]:,} of {ASKED[1]:,}, reckoned", *sizes))
    rows += [
        (f"exponent with {axis}", *(_exponents(found, what, "bytes")[place] for what in holders))
        for place, axis in enumerate(("rollouts", "tokens"))
    ]
    heads = ("rollouts of tokens", "driver (GiB)", "queue (GiB)", "replay (GiB)")
    return Table(
        "driver_memory", "Greatest memory beyond an idle run's", tuple(map(Column, heads)), (Section("", tuple(rows)),)
    )


def last_lines(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Greatest exponents, and what grows faster than the bound."""
    found = growths(cells, stages_of(cells, [AWAY]))
    lines = []
    for figure in ("seconds", "bytes"):
        for axis in ("rows", "tokens"):
            of = [each for each in found if (each.figure, each.axis) == (figure, axis)]
            most = max(of, key=lambda each: each.greatest, default=None)
            told = f"{most.greatest:.2f} ({most.stage})" if most else "too little to tell"
            lines.append(f"greatest exponent of {figure} with {axis}: {told}")
    return [*lines, f"superlinear: {', '.join(superlinear(found)) or 'none'}"]


def section(file: Path) -> str:
    """The part of the document that the measurements in `file` give."""
    kept = json.loads(file.read_text())
    cells = kept["cells"]
    parts = [markdown(table) for table in (seconds_table(cells), memory_table(cells))]
    faster = superlinear(growths(cells, stages_of(cells, [AWAY])))
    told = f"Exponents above {BOUND}:\n\n" + "".join(f"- {each}\n" for each in faster)
    if not faster:
        told = f"No stage's exponent was above {BOUND}.\n"
    notes = (
        f"Exponents are of a power law, of the median CPU seconds; a stage below {LEAST_SECONDS} s has none.\n{told}"
    )
    if not _asked_is_measured(cells):
        notes += "\nA reckoned size was not measured: it is in proportion to the tokens of the largest that was.\n"
    return TEXT.format(machine=f"It ran on {kept['machine']}.") + "\n".join(parts) + "\n" + notes
