"""The kept soak as a part of recipes/RESULTS.md."""

import json
from pathlib import Path

from scripts.soak_flatness import PER, Slope
from scripts.soak_reading import MEMORY
from verl_dots.evidence.cells import Column, Section, Table
from verl_dots.evidence.rendering import markdown

KEPT = Path(__file__).parents[1] / "recipes/evidence/soak.json"
WHOLE = "all processes"
TEXT = """## A long run

`python -m scripts.soak --steps {steps} --keep` trains the tiny model with everything on that can be on together.
Its steps have 8 questions of 4 rollouts; budgets, refill, early stops and the length penalty are added to `all`.
It ran on {machine}, commit {commit}.
The longest start made the steps {first} to {last}, and {judged} judged.
Each change is a median slope over blocks of steps, with its 95 % interval.
It is flat where all of that interval is below what the figure may rise by.
{note}

![memory, open files, threads, processes, disk and step time of a long run](evidence/soak.svg)

"""


def section(path: Path) -> str:
    """The section of the judgements that `scripts.soak --keep` has written."""
    kept = json.loads(path.read_text())
    found = [Slope(**slope) for slope in kept.pop("slopes")]
    # Of a single process its memory, and whatever is not flat; open files and threads of all together.
    shown = [each for each in found if each.of == WHOLE or each.quantity == MEMORY or each.verdict != "flat"]
    shown += [each for each in found if each not in shown and each.of in ("step", "checkpoints", "journals")]
    rows = tuple(
        (
            f"{each.of}, {each.quantity}",
            f"{each.level:.4g}",
            f"{each.change:+.3g} ({each.low:+.3g} to {each.high:+.3g})",
            f"{each.allowed:.3g}",
            each.verdict,
        )
        for each in shown
    )
    heads = ("figure", "median", f"change in {PER} steps", "may rise by", "verdict")
    table = Table("soak", "Changes", tuple(map(Column, heads)), (Section("", rows),))
    flat = sum(each.verdict == "flat" for each in found)
    judged = "all are" if kept["after"] <= kept["first"] else f"those from {kept['after']} on are"
    return (
        TEXT.format(**kept | {"commit": kept["commit"][:8], "judged": judged})
        + markdown(table)
        + f"\n{flat} of {len(found)} figures are flat; the table shows {len(shown)} of {len(found)}.\n"
    )
