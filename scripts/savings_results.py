"""What each way to a cheaper step brings.

    python -m scripts.savings_results [--keep RUNS] [--drop METHOD ROUND] [--write]

--keep reads run folders of scripts/savings.sh into recipes/evidence/savings, as small tables. Runs that are kept there
stay, but for those of the same combination, method, seed and kind. --drop takes the timing runs of a method
and round out. --write puts their tables into recipes/evidence/SAVINGS.md and draws recipes/evidence/savings.svg.
Without it: exit 1 if the document has others.

The runs of cpu.yaml that are kept in recipes/evidence/results count as well: GRPO's are the baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from scripts.reproduce.matrix import Matrix
from scripts.reproduce.matrix_file import read_matrix
from scripts.reproduce.pairs import beside
from scripts.reproduce.results import update, without_root
from scripts.savings_figure import draw
from scripts.sections import asked, settle, status_of, with_section
from verl_dots.evidence import rendering, saved, summary_cells
from verl_dots.evidence.cells import Cell, Column, Figure, Missing, Section, Table, Why
from verl_dots.evidence.curves import smoothed_curves
from verl_dots.evidence.measures import OVERALL
from verl_dots.evidence.measuring import Measured, measure, target_at
from verl_dots.evidence.merging import merged
from verl_dots.evidence.methods import BASELINE
from verl_dots.evidence.read import read_evidence
from verl_dots.evidence.records import ACCURACY_RUN, Evidence
from verl_dots.reporting.validation_curves import crossing

FOLDER = Path(__file__).parents[1] / "recipes/evidence"
MATRIX, RESULTS, KEPT = FOLDER / "savings.yaml", FOLDER / "results", FOLDER / "savings"
DOCUMENT, FIGURE = FOLDER / "SAVINGS.md", FOLDER / "savings.svg"
SCRIPT = "python -m scripts.savings_results"
# Below the table of accuracies.
COUNTED = (
    "Effective groups: of those that are trained on for the first time. Reused references, which are effective, count; "
    "groups that stopped early or were refilled do not.",
    "Effective among the selected: of all questions that selection chose and that were rolled out. References do not "
    "count; groups that stopped early or were refilled do.",
    "Updated rows: of the batch, those that the filter leaves to the update.",
    "A dash: no selection by difficulty, no filter, or runs that were kept without this figure.",
)
NONE = Missing(Why.NO_ROW)
TARGETS = {"75 % of GRPO's gain": 75, "GRPO's final accuracy": 100}


def evidence_of(matrix: Matrix) -> Evidence:
    """The kept runs of a matrix's methods and combinations: of cpu.yaml's those for accuracy, for times are compared
    within the rounds of one machine."""
    kept = saved.load(RESULTS)
    kept = Evidence(*(table[table.kind == ACCURACY_RUN].reset_index(drop=True) for table in (kept.steps, kept.runs)))
    kept = merged(kept, saved.load(KEPT)) if saved.is_saved(KEPT) else kept
    steps, runs = (
        table[table.method.isin(matrix.methods) & table.combination.isin(matrix.combinations)].reset_index(drop=True)
        for table in (kept.steps, kept.runs)
    )
    return Evidence(steps, runs)


def where(matrix: Matrix) -> str:
    """The combination whose figures are shown: the mean of all, or the only one."""
    return OVERALL if len(matrix.combinations) > 1 else next(iter(matrix.combinations))


def base_of(name: str, matrix: Matrix) -> str:
    """The method of the matrix that another is a change of: that of its recipe, otherwise the baseline."""
    recipe = matrix.methods[name].recipe
    return recipe if recipe in matrix.methods and recipe != name else BASELINE


def accuracy_table(measured: Measured, matrix: Matrix) -> Table:
    """What a change makes of accuracy, tokens and the time of a step."""
    columns = (
        Column("method"), Column("a change of"), Column("final accuracy", "%", digits=1),
        Column("above that one", "points", digits=1), Column("better in"), Column("above GRPO", "points", digits=1),
        Column("above GRPO at equal tokens", "points", digits=1), Column("effective groups", "%", digits=0),
        Column("effective among the selected", "%", digits=0), Column("updated rows", "%", digits=0),
    )  # fmt: skip
    rows = tuple(_accuracy_row(name, measured, matrix) for name in names_of(measured, matrix))
    return Table("accuracy", "Accuracy", columns, (Section("", rows),), COUNTED)


def _accuracy_row(name: str, measured: Measured, matrix: Matrix) -> tuple[Cell, ...]:
    def cell(of: str) -> Cell:
        return summary_cells.figure(measured.summary, where(matrix), name, of, 100.0)

    final = cell("final_accuracy")
    shares = [_plain(cell(of)) for of in ("effective_groups", "effective_selected", "updated_rows")]
    shares = [one if isinstance(one, Figure) else NONE for one in shares]
    if name == BASELINE:
        return f"`{name}`", "", final, "", "", "", "", *shares
    base = base_of(name, matrix)
    points, *_, better = beside(name, base, measured.by_seed) or ("", "")
    return (
        f"`{name}`", f"`{base}`", final, points, better, cell("difference"), cell("difference_at_tokens"), *shares,
    )  # fmt: skip


def _plain(cell: Cell) -> Cell:
    return replace(cell, low=None, high=None) if isinstance(cell, Figure) else cell


def mean_curves(curves: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of a method the validation curve and what was generated until each step, as means over its runs; and GRPO's.

    Both are of the combinations and seeds of which there is a run of each.

    Args:
        curves: of `smoothed_curves`.
    """
    own, of_grpo = (curves[curves.method == one].set_index(["combination", "seed"]) for one in (name, BASELINE))
    both = own.index.intersection(of_grpo.index)
    means = (of.loc[both.unique()].groupby("step")[["accuracy", "generated_tokens"]].mean() for of in (own, of_grpo))
    first, second = (of.reset_index().sort_values("step") for of in means)
    return first, second


def costs_to(share: int, curve: pd.DataFrame, of_baseline: pd.DataFrame) -> dict[str, float] | None:
    """Steps and tokens of a mean curve to `share` % of the baseline's gain; None where it does not get there."""
    first, final = of_baseline.accuracy.iloc[0], of_baseline.accuracy.iloc[-1]
    place = crossing(curve.accuracy.to_numpy(float), target_at(first, final, share))
    return place and {name: place.of(curve[name].to_numpy(float)) for name in ("step", "generated_tokens")}


def cost_table(evidence: Evidence, measured: Measured, matrix: Matrix) -> Table:
    """What a method costs on the way to parts of what GRPO learns, as multiples of GRPO's cost, of the mean curves.

    A curve of means, for a mean over the runs that get there would favour the method of which fewer do.
    """
    columns = [Column("method"), Column("tokens of a step"), Column("time of a step [rounds]")]
    for goal in TARGETS:
        columns += [Column(f"{what} to {goal}") for what in ("steps", "time", "tokens")]
    columns.append(Column("runs that get there"))
    curves = smoothed_curves(evidence)
    rows = tuple(_cost_row(name, curves, measured, where(matrix)) for name in names_of(measured, matrix))
    return Table("costs", "Costs", tuple(columns), (Section("", rows),), measured.notes)


def _cost_row(name: str, curves: pd.DataFrame, measured: Measured, place: str) -> tuple[Cell, ...]:
    time = _time_of_a_step(name, measured, place)
    own, of_grpo = mean_curves(curves, name)
    tokens = Figure(own.generated_tokens.iloc[-1] / of_grpo.generated_tokens.iloc[-1])
    cells = [tokens, time if isinstance(time, Figure) else Missing(Why.NOT_MEASURED)]
    for share in TARGETS.values():
        costs, costs_of_grpo = (costs_to(share, one, of_grpo) for one in (own, of_grpo))
        if costs is None or costs_of_grpo is None:
            cells += [Missing(Why.NOT_REACHED)] * 3
            continue
        steps, tokens = (costs[of] / costs_of_grpo[of] for of in ("step", "generated_tokens"))
        cells += [Figure(steps), Figure(steps * time.value) if isinstance(time, Figure) else cells[1], Figure(tokens)]
    return f"`{name}`", *cells, summary_cells.reached(measured.summary, place, name)


def _time_of_a_step(name: str, measured: Measured, place: str) -> Cell:
    """As a multiple of GRPO's: the mean over the rounds of timing runs, with the lowest and the highest of several."""
    time = _plain(summary_cells.figure(measured.summary, place, name, "step_ratio"))
    ratios = measured.rounds[measured.rounds.method == name].step_ratio
    if name == BASELINE or not isinstance(time, Figure) or len(ratios) < 2:
        return time
    return replace(time, low=float(ratios.min()), high=float(ratios.max()))


def names_of(measured: Measured, matrix: Matrix) -> Iterator[str]:
    """Methods in the order of the matrix, of those that have runs of every combination."""
    there = measured.by_seed.groupby("method").combination.nunique()
    return (name for name in matrix.methods if there.get(name) == len(matrix.combinations))


def text_of(tables: Sequence[Table]) -> str:
    """The tables as the document has them, one below the other."""
    return "\n".join(rendering.markdown(table).partition("\n\n")[2].strip() + "\n" for table in tables)


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep, write, or compare."""
    options = asked(__doc__, arguments, keep=("RUNS", "add these runs to recipes/evidence/savings"), drop=True)
    update(KEPT, without_root(read_evidence(options.keep), options.keep) if options.keep else None, options.drop)
    matrix = read_matrix(MATRIX)
    evidence = evidence_of(matrix)
    measured = measure(evidence, stand_in=False)
    tables = (accuracy_table(measured, matrix), cost_table(evidence, measured, matrix))
    if options.write:
        draw(measured.summary, where(matrix), list(names_of(measured, matrix)), FIGURE)
    return settle(DOCUMENT, with_section(DOCUMENT, "savings", SCRIPT, text_of(tables)), options.write)


if __name__ == "__main__":
    raise SystemExit(status_of(main))
