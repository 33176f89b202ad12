"""The papers' tables with our figures beside theirs, and the files of all tables.

A combination that repeats a row of a paper names its recipe (`Combination.paper`): its figures stand in that row. Those
of other methods and combinations, such as the CPU testbed's, stand under headings of their own. One that stands for a
row of the paper (`Combination.stands_for`) comes first, with that row's figures beside it, marked as of another model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from verl_dots.evidence import papers, rendering
from verl_dots.evidence.cells import Cell, Column, Figure, Missing, Section, Table, Why, has_rows
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
from verl_dots.evidence.evaluations import Evaluations
from verl_dots.evidence.extra_figures import Extra
from verl_dots.evidence.measuring import Measured
from verl_dots.evidence.ours import Asked, Ours
from verl_dots.evidence.overview import overview
from verl_dots.evidence.papers import PaperRow, PaperTable, Quantity
from verl_dots.evidence.parts import parts_table
from verl_dots.evidence.records import Evidence
from verl_dots.evidence.shares import shares_table
from verl_dots.files import write_atomically

IN_SECONDS = ("seconds_per_step", "extra_seconds", "hours")
ROUNDS = (
    "Our seconds of a step are means of a method's own timing runs. Other methods may have other rounds, which "
    "differ in speed. The time of a step that is saved, in the table of all methods, is of the same rounds."
)
# What our rows without a row of the paper are on, and the heading above them.
HEADINGS = {
    "same": "Ours: on the paper's model and data, without a row in the paper",
    "other paper": "Ours: the same measure on another paper's model and data",
    "other scale": "Ours: the same measure at another scale",
}
IN_PLACE = "Ours, each in place of a row of the paper: model and data differ"
OTHER = "other model and data"  # said of the paper's figure in such a row
Rows = tuple[tuple[Cell, ...], ...]


def paper_table(name: str, ours: Ours, combinations: Combinations) -> Table:
    """One of papers.yaml: the paper's rows with ours beside them, then ours that the paper has no row of.

    Raises:
        KeyError: papers.yaml has no such table.
    """
    table = papers.tables()[name]
    own = list(_own(table, ours, combinations))
    stands = {asked: row for asked, _ in own if (row := _stood_for(table, combinations, asked)) is not None}
    rows = tuple(_own_row(table, ours, combinations, asked, row) for asked, row in stands.items())
    others = _paper_rows(table, ours, combinations, without=tuple(stands.values()))
    sections = [Section(IN_PLACE, rows), Section(f"{table.paper.title}, table {table.number}", others)]
    for place, heading in HEADINGS.items():
        left = [asked for asked, of in own if of == place and asked not in stands]
        sections.append(Section(heading, tuple(_own_row(table, ours, combinations, asked) for asked in left)))
    columns = [Column("model and data"), Column("method")]
    for one in table.columns:
        digits = one.digits if one.ours_digits is None else one.ours_digits
        columns += [Column(one.heading, one.unit, "paper", one.digits), Column(one.heading, one.unit, "ours", digits)]
    columns += [Column(one.heading, one.unit, "ours", one.digits) for one in table.ours_only]
    heading = f"{table.paper.title.split(':')[0]}, table {table.number}: {table.title}"
    shown = [*_repeated(table, combinations).values(), *(asked.combination for asked, _ in own)]
    notes = (*_notes(table, bool(shown)), *scale_notes(ours.evidence, combinations, shown))
    return Table(name, heading, tuple(columns), tuple(one for one in sections if one.rows), notes)


def all_tables(ours: Ours, combinations: Combinations) -> list[Table]:
    """The overview, shares and parts where there are some, then the papers' tables in the order of papers.yaml.

    Raises:
        ValueError: see `combinations.described`.
    """
    known = described(ours.evidence, combinations)
    more = [table for table in (shares_table(ours, known), parts_table(ours, known)) if has_rows(table)]
    return [overview(ours, known), *more, *(paper_table(name, ours, known) for name in papers.tables())]


def write_tables(
    evidence: Evidence,
    measured: Measured,
    folder: Path,
    combinations: Combinations | None = None,
    evaluations: Evaluations | None = None,
    extra: Extra | None = None,
) -> list[Path]:
    """Write NAME.md, NAME.tex and NAME.csv of every table, and tables.tex, a document of them all; return the paths.

    Args:
        combinations: what the combinations are, see `combinations.described`.
        evaluations: those in the runs' folders where None.
        extra: figures measured apart from runs, (combination, method, measure) -> figure; those kept where None.

    Raises:
        ValueError: see `combinations.described`.
    """
    found = evidence.evaluations if evaluations is None else evaluations
    alone = evidence.extra if extra is None else extra
    made = all_tables(Ours(evidence, measured, found, alone), combinations or {})
    texts = {"tables.tex": rendering.document(table.name for table in made)}
    for table in made:
        texts[f"{table.name}.md"] = rendering.markdown(table)
        texts[f"{table.name}.tex"] = rendering.latex(table)
        texts[f"{table.name}.csv"] = rendering.table_csv(table)
    for name, text in texts.items():
        write_atomically(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))
    return [folder / name for name in texts]


def _notes(table: PaperTable, any_ours: bool) -> list[str]:
    """The source, what its figures are, what differs, why figures are missing."""
    measured = f"Measured there: {table.measured}. Hardware: {table.hardware}."
    whys = dict.fromkeys(f"{row.name}: {row.why}." for row in table.rows if row.why)
    timed = [ROUNDS] if any(column.ours in IN_SECONDS for column in table.columns) else []
    return [
        table.source,
        measured,
        table.differs,
        *timed,
        *whys,
        *([] if any_ours else ["Nothing of this table was run."]),
    ]


def _repeated(table: PaperTable, combinations: Combinations) -> dict[str, str]:
    """Recipes of the table's rows -> our combinations that repeat them."""
    settings = {row.setting for row in table.rows}
    return {one.paper: name for name, one in combinations.items() if one.paper in settings}


def _paper_rows(table: PaperTable, ours: Ours, combinations: Combinations, without: tuple[PaperRow, ...]) -> Rows:
    """The paper's rows, but those that stand beside ours."""
    repeated = _repeated(table, combinations)
    rows = []
    for row in (one for one in table.rows if one not in without or one.setting in repeated):
        cells: list[Cell] = [row.model, row.name]
        name = repeated.get(row.setting)
        asked = None if name is None else Asked(name, row.method, table.reference, _share(table, row))
        for quantity, cell in zip(table.columns, row.cells, strict=True):
            cells += [cell, _cell(ours, quantity, asked)]
        rows.append((*cells, *(_cell(ours, quantity, asked) for quantity in table.ours_only)))
    return tuple(rows)


def _own(table: PaperTable, ours: Ours, combinations: Combinations) -> Iterator[tuple[Asked, str]]:
    """What was run that the paper has no row of, and where: a key of `HEADINGS`."""
    keys = {(row.setting, row.method) for row in table.rows}
    shares = {row.setting: _share(table, row) for row in table.rows}
    for name in sorted(set(ours.evidence.runs.combination)):
        setting = combinations.get(name, Combination()).paper
        place = "same" if setting in shares else "other paper" if setting else "other scale"
        run = methods_run(ours.evidence, name)
        for method in table.own:
            if (method in run or (method == BASE and ours.measured.baseline in run)) and (setting, method) not in keys:
                yield Asked(name, method, table.reference, shares.get(setting, table.share)), place


def _share(table: PaperTable, row: PaperRow) -> float:
    return table.share if row.share is None else row.share


def _cell(ours: Ours, quantity: Quantity, asked: Asked | None) -> Cell:
    return Missing(Why.NOT_RUN) if asked is None else ours.cell(quantity.ours, asked)


def _stood_for(table: PaperTable, combinations: Combinations, asked: Asked) -> PaperRow | None:
    """The paper's row that ours stands for."""
    named = (table.row_named(words, asked.method) for words in combinations.get(asked.combination, Combination()).rows)
    return next((row for row in named if row is not None), None)


def _own_row(
    table: PaperTable, ours: Ours, combinations: Combinations, asked: Asked, beside: PaperRow | None = None
) -> tuple[Cell, ...]:
    """Our figures; beside them those of a row of the paper on another model and other data, where there is one."""
    name = title(asked.combination, combinations)
    cells: list[Cell] = [f"{name}, for {beside.model}" if beside else name, label(asked.method)]
    remark = OTHER
    if beside is not None:
        asked = replace(asked, share=_share(table, beside))
        remark = OTHER if beside.method == asked.method else f"{beside.name}, {OTHER}"
    for place, quantity in enumerate(table.columns):
        paper = beside.cells[place] if beside else Missing(Why.NO_ROW)
        cells += [replace(paper, remark=remark) if isinstance(paper, Figure) else paper, _cell(ours, quantity, asked)]
    return (*cells, *(_cell(ours, quantity, asked) for quantity in table.ours_only))
