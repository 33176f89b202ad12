"""The papers' tables with our figures beside theirs, and the files of all tables.

A combination that repeats a row of a paper names its recipe (`Combination.paper`): its figures stand in that row. Those
of other methods and combinations, such as the CPU testbed's, stand below under headings of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from verl_dots.evidence import papers, rendering
from verl_dots.evidence.cells import Cell, Column, Missing, Section, Table, Why
from verl_dots.evidence.combinations import (
    BASE,
    Combination,
    Combinations,
    described,
    label,
    methods_run,
    scale_notes,
    title,
)
from verl_dots.evidence.evaluations import Evaluations, read_evaluations
from verl_dots.evidence.measured import Apart, Asked, Ours
from verl_dots.evidence.methods import BASELINE
from verl_dots.evidence.overview import overview
from verl_dots.evidence.papers import PaperTable
from verl_dots.evidence.records import Evidence
from verl_dots.files import write_atomically

ON_PAPERS_DATA = "Ours: on the paper's model and data, without a row in the paper"
OTHER_SCALE = "Ours: the same measure at another scale"
Rows = tuple[tuple[Cell, ...], ...]


def paper_table(name: str, ours: Ours, combinations: Combinations) -> Table:
    """One of papers.yaml: the paper's rows with ours beside them, then ours that the paper has no row of.

    Raises:
        KeyError: papers.yaml has no such table.
    """
    table = papers.tables()[name]
    sections = [Section(f"{table.paper.title}, table {table.number}", _paper_rows(table, ours, combinations))]
    own = list(_own(table, ours.evidence, combinations))
    for heading, on_papers_data in ((ON_PAPERS_DATA, True), (OTHER_SCALE, False)):
        rows = tuple(_own_row(table, ours, combinations, asked) for asked, same in own if same is on_papers_data)
        sections += [Section(heading, rows)] if rows else []
    columns = [Column("model and data"), Column("method")]
    columns += [Column(one.heading, one.unit, of, one.digits) for one in table.columns for of in ("paper", "ours")]
    whys = dict.fromkeys(f"{row.name}: {row.why}." for row in table.rows if row.why)
    nothing = () if own else ("Nothing of this table was run at another scale.",)
    measured = f"Measured there: {table.measured}. Hardware: {table.hardware}."
    notes = (table.source, measured, table.differs, *whys, *nothing, *scale_notes(ours.evidence, combinations))
    heading = f"{table.paper.title.split(':')[0]}, table {table.number}: {table.title}"
    return Table(name, heading, tuple(columns), tuple(sections), notes)


def all_tables(ours: Ours, combinations: Combinations) -> list[Table]:
    """The overview, then the papers' tables in the order of papers.yaml.

    Raises:
        ValueError: see `combinations.described`.
    """
    known = described(ours.evidence, combinations)
    return [overview(ours, known), *(paper_table(name, ours, known) for name in papers.tables())]


def write_tables(
    evidence: Evidence,
    by_seed: pd.DataFrame,
    summary: pd.DataFrame,
    folder: Path,
    combinations: Combinations | None = None,
    evaluations: Evaluations | None = None,
    apart: Apart | None = None,
) -> list[Path]:
    """Write NAME.md, NAME.tex and NAME.csv of every table, and tables.tex, a document of them all; return the paths.

    Args:
        by_seed, summary: of `measures`.
        combinations: what the combinations are, see `combinations.described`.
        evaluations: those in the runs' folders where None.
        apart: figures measured apart from runs: (combination, method, measure) -> figure.

    Raises:
        ValueError: see `combinations.described`.
    """
    found = read_evaluations(evidence) if evaluations is None else evaluations
    made = all_tables(Ours(evidence, by_seed, summary, found, apart or {}), combinations or {})
    texts = {"tables.tex": rendering.document(table.name for table in made)}
    for table in made:
        texts[f"{table.name}.md"] = rendering.markdown(table)
        texts[f"{table.name}.tex"] = rendering.latex(table)
        texts[f"{table.name}.csv"] = rendering.table_csv(table)
    for name, text in texts.items():
        write_atomically(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))
    return [folder / name for name in texts]


def _paper_rows(table: PaperTable, ours: Ours, combinations: Combinations) -> Rows:
    repeated = {one.paper: name for name, one in combinations.items() if one.paper}
    rows = []
    for row in table.rows:
        cells: list[Cell] = [row.model, row.name]
        name, share = repeated.get(row.setting), table.share if row.share is None else row.share
        for quantity, cell in zip(table.columns, row.cells, strict=True):
            asked = None if name is None else Asked(name, row.method, table.reference, share)
            cells += [cell, Missing(Why.NOT_RUN) if asked is None else ours.cell(quantity.ours, asked)]
        rows.append(tuple(cells))
    return tuple(rows)


def _own(table: PaperTable, evidence: Evidence, combinations: Combinations) -> Iterator[tuple[Asked, bool]]:
    """What was run that the paper has no row of, and whether it is on a model and data of the table."""
    rows = {(row.setting, row.method): row for row in table.rows}
    shares = {row.setting: row.share for row in table.rows if row.share is not None}
    for name in sorted(set(evidence.runs.combination)):
        setting = combinations.get(name, Combination()).paper
        run = methods_run(evidence, name)
        for method in table.own:
            if (method in run or (method == BASE and BASELINE in run)) and (setting, method) not in rows:
                on_papers_data = any(setting == of for of, _ in rows)
                yield Asked(name, method, table.reference, shares.get(setting, table.share)), on_papers_data


def _own_row(table: PaperTable, ours: Ours, combinations: Combinations, asked: Asked) -> tuple[Cell, ...]:
    cells: list[Cell] = [title(asked.combination, combinations), label(asked.method)]
    for quantity in table.columns:
        cells += [Missing(Why.NO_ROW), ours.cell(quantity.ours, asked)]
    return tuple(cells)
