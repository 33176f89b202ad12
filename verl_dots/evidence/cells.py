"""A table between what is measured and what is printed: typed columns, sections of rows, and cells that say why not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class Why(Enum):
    """Why a figure is missing; the value is what a reader sees."""

    NOT_RUN = "not run"  # no run of this method on this combination
    NOT_REACHED = "not reached"  # run, and the accuracy asked for never came
    NO_GAIN = "no gain of the baseline"  # its runs end no higher than they began: there is nothing to reach
    NOT_MEASURED = "not measured"  # run, and what measures it was not: timing runs, an evaluation
    NOT_RECORDED = "not recorded"  # run, and its rows do not hold it
    NOT_GIVEN = "not given"  # the paper prints none
    NO_ROW = "–"  # the paper has no such row


AT_MOST = "at most"


@dataclass(frozen=True)
class Missing:
    """A figure that is not there; `detail` says more than `why`."""

    why: Why
    detail: str = ""


@dataclass(frozen=True)
class Figure:
    """A measured value.

    Attributes:
        value: finite, in the column's unit.
        low, high: ends of a 95 % interval; None where it is not known.
        spread: standard deviation, of a paper that gives ±; None of our figures.
        seeds: how many it is the mean of; None of a paper's.
        remark: a short word that is printed with it, such as "saves nothing".
        at_most: whether the value is not known, but a bound above it.
    """

    value: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    seeds: int | None = None
    remark: str = ""
    at_most: bool = False

    def __post_init__(self):
        given = [number for number in (self.value, self.low, self.high, self.spread) if number is not None]
        if not all(map(math.isfinite, given)):
            raise ValueError(f"{self} has a value that is not finite; give a Missing that says why")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self} has one end of an interval; give both or none")

    @classmethod
    def between(cls, value: float, low: float, high: float, **more: int | str) -> Figure:
        """With an interval, unless an end of it is not finite: then it is not known. `more` are other attributes."""
        known = math.isfinite(low) and math.isfinite(high)
        return cls(value, low if known else None, high if known else None, **more)


# A text is a label.
Cell = str | Figure | Missing


@dataclass(frozen=True)
class Column:
    """`of` is "paper" or "ours" where a quantity has a column of each; `digits` follow the point."""

    heading: str
    unit: str = ""
    of: str = ""
    digits: int = 2

    @property
    def title(self) -> str:
        """Heading, whose, and unit: "steps saved, paper (%)"."""
        return ", ".join(filter(None, (self.heading, self.of))) + (f" ({self.unit})" if self.unit else "")


@dataclass(frozen=True)
class Section:
    """Rows under a heading, each as long as the columns."""

    heading: str
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Table:
    """A table with its name (of its files, and its label), notes under it and the source that it is compared with.

    Raises:
        ValueError: a row has not as many cells as there are columns.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        for section in self.sections:
            for row in section.rows:
                if len(row) != len(self.columns):
                    raise ValueError(f"{self.name}: a row has {len(row)} cells for {len(self.columns)} columns: {row}")


def has_rows(table: Table) -> bool:
    """Whether there is anything in a table."""
    return any(section.rows for section in table.sections)


def text_of(cell: Cell, digits: int) -> str:
    """A cell in plain text: "16.67 [12.10, 21.30]", "0.784 ± 0.024", "-3.2 (saves nothing)", "not reached".

    A bound is "at most 8.1 [3.0, 13.2] (2 of 3 seeds)".
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Missing):
        return f"{cell.why.value} ({cell.detail})" if cell.detail else cell.why.value
    text = f"{AT_MOST} {number(cell.value, digits)}" if cell.at_most else number(cell.value, digits)
    if cell.spread is not None:
        text += f" ± {number(cell.spread, digits)}"
    if cell.low is not None:
        text += f" [{number(cell.low, digits)}, {number(cell.high, digits)}]"
    return f"{text} ({cell.remark})" if cell.remark else text


def number(value: float, digits: int) -> str:
    """A rounded number; one that rounds to 0 has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"
