"""What papers.yaml holds, as records: papers, their tables, and the rows of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from verl_dots.evidence.cells import Cell, Figure, Missing, Why

FILE = Path(__file__).with_name("papers.yaml")


@dataclass(frozen=True)
class Paper:
    """`arxiv`: its id. `read`: where the figures were read."""

    title: str
    arxiv: str
    read: str


@dataclass(frozen=True)
class Quantity:
    """A column: `ours` is what is measured of our runs, see ours.py; `ours_digits` where these need others."""

    heading: str
    ours: str
    unit: str = ""
    digits: int = 2
    ours_digits: int | None = None


@dataclass(frozen=True)
class PaperRow:
    """A row of a paper.

    Attributes:
        setting: the recipe that repeats it, without `.sh`: dots/math-1.5b_math.
        method: as that recipe calls it, and as its runs are named.
        model, name: model with data, and method, for a reader.
        cells: in the order of the table's columns.
        share: of the steps, after which methods are compared; the table's where None.
        why: a figure is missing.
    """

    setting: str
    method: str
    model: str
    name: str
    cells: tuple[Cell, ...]
    share: float | None = None
    why: str = ""


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper.

    Attributes:
        name: of the table here, and of its files.
        measured, hardware: what its figures are, and of which machines.
        differs: what is measured in another way here.
        own: methods whose runs at another scale are listed with the paper's rows.
        stands: of these -> the paper's method that they stand for, where it has another name.
        ours_only: columns of ours alone, behind the others.
        reference, share: AdaRFT's: the method whose accuracy others are to reach, that after this share of its steps.
    """

    name: str
    paper: Paper
    number: int
    title: str
    measured: str
    hardware: str
    differs: str
    own: tuple[str, ...]
    columns: tuple[Quantity, ...]
    rows: tuple[PaperRow, ...]
    reference: str = ""
    share: float = 1.0
    stands: Mapping[str, str] = field(default_factory=dict)
    ours_only: tuple[Quantity, ...] = ()

    @property
    def source(self) -> str:
        """Where the figures are from, in a sentence."""
        paper = self.paper
        return f"The paper's figures: {paper.title}, arXiv {paper.arxiv}, table {self.number}. Read: {paper.read}."

    def row_named(self, words: str, method: str) -> PaperRow | None:
        """The row that `words` name, "DOTS, table 1, Qwen2.5-3B on DeepMath", of the method that ours stands for.

        Each table of that paper has the same models and data; so the number of the table does not matter.
        """
        paper, _, model = (*words.split(", ", 2), "", "")[:3]
        if paper.lower() != self.name.partition("_")[0]:
            return None
        theirs = self.stands.get(method, method)
        return next((row for row in self.rows if (row.model, row.method) == (model, theirs)), None)


@cache
def tables(file: Path = FILE) -> Mapping[str, PaperTable]:
    """The tables of papers.yaml, by their names.

    Raises:
        ValueError: a row has not one figure a column, or a null without a reason.
    """
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    papers = {name: Paper(**given) for name, given in content["papers"].items()}
    return {name: _table(name, given, papers) for name, given in content["tables"].items()}


def settings() -> set[str]:
    """Recipes that rows of the papers' tables belong to."""
    return {row.setting for table in tables().values() for row in table.rows}


def _table(name: str, given: dict[str, Any], papers: Mapping[str, Paper]) -> PaperTable:
    columns, ours_only = (
        tuple(Quantity(**column) for column in given.pop(name, ())) for name in ("columns", "ours_only")
    )
    rows = tuple(_row(f"table {name}", row, len(columns)) for row in given.pop("rows"))
    paper, own = papers[given.pop("paper")], tuple(given.pop("own"))
    return PaperTable(name=name, paper=paper, own=own, columns=columns, ours_only=ours_only, rows=rows, **given)


def _row(where: str, given: dict[str, Any], columns: int) -> PaperRow:
    given = dict(given)
    figures = given.pop("figures")
    if len(figures) != columns:
        raise ValueError(f"{where}: {given['setting']} {given['method']} has {len(figures)} figures, not {columns}")
    if None in figures and not given.get("why"):
        raise ValueError(f"{where}: {given['setting']} {given['method']} has a null; say `why`")
    return PaperRow(cells=tuple(_cell(figure, given.get("why", "")) for figure in figures), **given)


def _cell(figure: float | list[float] | None, why: str) -> Cell:
    if figure is None:
        return Missing(Why.NOT_GIVEN, why)
    if isinstance(figure, list):
        value, spread = figure
        return Figure(float(value), spread=float(spread))
    return Figure(float(figure))
