"""The kept measurements as a part of recipes/RESULTS.md."""

import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from statistics import median
from typing import Any

from scripts.driver.growth import (
    AXES,
    BOUND,
    LEAST_SECONDS,
    Growth,
    bytes_of,
    cpu_of,
    exponent,
    growths,
    reckoned,
    seconds_of,
    stages_of,
    superlinear,
)
from scripts.driver.meters import AWAY, COLLECTION
from verl_dots.evidence.cells import Column, Section, Table
from verl_dots.evidence.rendering import markdown

MIB, GIB, SHOWN, REST = 1 << 20, 1 << 30, 12, "the other stages"
ASKED = (4096, 32768)  # rollouts and tokens that the section is about
TEXT = """## Large batches on the driver

All stages of a step ran on synthetic rollouts, through verl's TransferQueue with its own processes.
`python -m scripts.bench_driver --write` measures them. Forward passes and update were left out.
Columns of their shape take their place. Responses have an eighth of the greatest length to all of it.
Half of a batch is replayed. It ran {where}. Growth is of CPU seconds.
Passes of Python's collector over all objects are a stage of their own; a step of a small size has few or none.

![CPU seconds and memory of the driver against rollouts and tokens](evidence/driver.svg)

"""
# Why these grow as they do. The figures of the first are those of tests/scripts/driver/test_page.py.
COLLECTOR = """a full pass looks at every container that lives. Tags are a dict a row, and a column that a stage
  reads is a tensor a row. So with more rows passes are longer and there are more of them: at first that is the square.
  Yet CPython makes none before a quarter more containers live than after the last.
  All passes of a step so look at five times the containers that it makes, at most.
  Alone, they look at 0.6 for each of 150,000, at 2.3 for each of 600,000 and at 4.4 for each of 2,400,000.
  What lives as long as the run is left out: `gc.freeze` before the first step.
"""
STATE = """over all sizes its seconds have an exponent of {exponent:.2f} with the bytes of the replay buffer,
  {least:,.0f} to {most:,.0f} MiB. What a MiB takes differs between sizes without a trend.
"""
OTHER = """over all sizes its seconds have an exponent of {exponent:.2f} with rollouts times tokens.
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


def faster_table(cells: Sequence[Mapping[str, Any]], bound: float = BOUND) -> Table | None:
    """What grows faster than the bound, the greatest exponents first, with its figures; None where nothing does."""
    found = [each for each in growths(cells, stages_of(cells, [AWAY])) if each.greatest > bound]
    rows = [_faster(cells, each) for each in sorted(found, key=lambda each: (-each.greatest, each.stage, each.at))]
    heads = ("stage", "grows with", "median at each size", "exponent, all sizes", "of the last two", "share of a step")
    table = Table("driver_faster", f"Exponents above {bound}", tuple(map(Column, heads)), (Section("", tuple(rows)),))
    return table if rows else None


def _faster(cells: Sequence[Mapping[str, Any]], growth: Growth) -> tuple[str, ...]:
    other = AXES[growth.axis]
    line = sorted((cell for cell in cells if cell[other] == growth.at), key=lambda cell: cell[growth.axis])
    names = {"rows": "rollouts", "tokens": "tokens"}
    of_seconds = growth.figure == "seconds"
    if of_seconds:
        told = [(cell, median(seconds_of(cell, growth.stage) or [0.0])) for cell in line]
    else:
        told = [(cell, bytes_of(cell, growth.stage) / GIB) for cell in line]
    unit = "s" if of_seconds else "GiB"
    values = "; ".join(f"{cell[growth.axis]:,}: {value:.3f} {unit}" for cell, value in told)
    cell, value = told[-1]
    whole = median([sum(cpu_of(part) for name, part in step.items() if name != AWAY) for step in cell["steps"]])
    return (
        growth.stage, f"{names[growth.axis]}, at {growth.at:,} {names[other]}", values, f"{growth.fitted:.2f}",
        f"{growth.last:.2f}", f"{value / whole:.1%}" if of_seconds else "",
    )  # fmt: skip


def reasons(cells: Sequence[Mapping[str, Any]], stages: Set[str]) -> str:
    """A list of why these stages grow as they do, where that was looked into."""
    told = [f"- **{COLLECTION}**: {COLLECTOR}"] if COLLECTION in stages else []
    for stage in sorted(each for each in stages if each.startswith("state: ")):
        sizes = [(cell["replay_bytes"], median(seconds_of(cell, stage))) for cell in cells]
        held, seconds = zip(*sizes, strict=True)
        ends = {"least": min(held) / MIB, "most": max(held) / MIB}
        told.append(f"- **{stage}**: {STATE.format(exponent=exponent(held, seconds), **ends)}")
    for stage in sorted(each for each in stages if each != COLLECTION and not each.startswith("state: ")):
        taken = [(cell["rows"] * cell["tokens"], seconds_of(cell, stage)) for cell in cells]
        taken = [(size, median(seconds)) for size, seconds in taken if seconds and median(seconds) > 0]
        if len({size for size, _ in taken}) > 1:  # memory takes none
            told.append(f"- **{stage}**: {OTHER.format(exponent=exponent(*zip(*taken, strict=True)))}")
    return "\n" + "".join(told) if told else ""


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
    notes = (
        f"Exponents are of a power law, of the median CPU seconds; a stage below {LEAST_SECONDS} s has none.\n"
        "The tables have the greater of two: over all sizes, and between the last two.\n"
    )
    if not _asked_is_measured(cells):
        notes += "A reckoned size was not measured: it is in proportion to the tokens of the largest that was.\n"
    faster = faster_table(cells)
    if faster:
        above = {row[0] for row in faster.sections[0].rows}
        notes += f"\n{markdown(faster)}{reasons(cells, above)}"
    else:
        notes += f"No stage's exponent was above {BOUND}.\n"
    code = dict.fromkeys(f"{str(cell['commit'])[:7]} on {cell['date']}" for cell in cells)
    return TEXT.format(where=f"on {kept['machine']}, at commit {', '.join(code)}") + "\n".join(parts) + "\n" + notes
