"""What the README shows of the kept results: a row a method, the mean over all combinations, and the curves of it.

Ablations are left to recipes/RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from verl_dots.evidence import rendering
from verl_dots.evidence.cells import Table
from verl_dots.evidence.figures.curves import draw
from verl_dots.evidence.figures.style import STYLE, looks, save
from verl_dots.evidence.figures.training import ACCURACY_AGAINST
from verl_dots.evidence.measures import OVERALL
from verl_dots.evidence.methods import LOOKS
from verl_dots.evidence.records import ACCURACY_RUN, Evidence

SECTION, STEM = "results", "accuracy"
AGAINST = ("steps", "tokens")  # time is there for runs that were timed alone
ABLATIONS = ("grpo_few", "dots_rr_levels")
SHOWN = (
    "method", "final accuracy (%)", "above GRPO (points)", "above GRPO at equal tokens (points)",
    "generated tokens (k)", "reached",
)  # fmt: skip


def table_of(overview: Table) -> str:
    """The last section of the table of all methods, some columns of it: the mean over the combinations, if several."""
    titles, section = [column.title for column in overview.columns], overview.sections[-1]
    places = [titles.index(name) for name in SHOWN]
    left_out = {LOOKS[name].label for name in ABLATIONS}
    methods = [row for row in section.rows if row[titles.index("method")] not in left_out]
    rows = tuple(tuple(row[place] for place in places) for row in methods)
    columns = tuple(overview.columns[place] for place in places)
    part = Table(SECTION, "", columns, (replace(section, heading="", rows=rows),))
    return rendering.markdown(part).partition("\n\n")[2].strip() + "\n"


def draw_curves(evidence: Evidence, folder: Path, apart: Collection[str] = ()) -> Path:
    """Write `curves_of` as an SVG; its path."""
    save(curves_of(evidence, apart), folder / STEM).unlink()  # a repository keeps the smaller one
    return folder / f"{STEM}.svg"


def curves_of(evidence: Evidence, apart: Collection[str] = ()) -> Figure:
    """The accuracy against steps and tokens, over the runs of all combinations but those that stand apart.

    A run of one combination and seed counts like any other. Points are means over the same step of all runs.
    """
    steps = evidence.steps[(evidence.steps["kind"] == ACCURACY_RUN) & ~evidence.steps["method"].isin(ABLATIONS)]
    steps = steps[~steps["combination"].isin(apart)]
    of_run = steps.groupby(["combination", "seed"]).ngroup()
    together = steps.assign(combination=OVERALL, seed=of_run)
    curves = [curve for curve in ACCURACY_AGAINST if curve.name in AGAINST]
    [drawn] = draw(together, looks(together["method"]), STEM, curves).values()
    if drawn.figure is None:
        raise ValueError(drawn.text)
    title = drawn.figure.get_suptitle().replace("the seeds", "the runs").replace("seeds a", "runs a")
    with rc_context(STYLE):  # which has its size
        drawn.figure.suptitle(title)
    return drawn.figure
