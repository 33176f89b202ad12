"""What methods save on the way to parts of the baseline's gain, and to all of it: the mean of combinations."""

from __future__ import annotations

from verl_dots.evidence import summary_cells
from verl_dots.evidence.cells import Cell, Column, Section, Table
from verl_dots.evidence.combinations import Combinations, label, mean_title
from verl_dots.evidence.measures import SHARES, saved_column
from verl_dots.evidence.methods import in_order
from verl_dots.evidence.ours import Asked, Ours

NAME = "shares"
SAVED = ("steps", "time", "tokens")
NOTES = (
    "The target is the accuracy at a share of the gain of the baseline's run of the same seed; 100 % is its final one.",
    "Saved: the share of the baseline's cost that a method needs less until it has this accuracy for the first time.",
    "At most: a run that never comes there counts with the most that it may save, and the cell says how many do come. "
    "What it cost up to its last validation stands for what it would need.",
)


def shares_table(ours: Ours, combinations: Combinations) -> Table:
    """A section for each share, a row for each method; without rows where no combination stands for all."""
    whole = summary_cells.whole(ours.summary)
    mine = ours.summary[(ours.summary.combination == whole) & (ours.summary.measure == "final_accuracy")]
    methods = in_order(sorted(set(mine.dropna(subset="mean").method)))  # without those that lack a combination
    sections = tuple(
        Section(
            f"{share} % of the baseline's gain", tuple(_row(ours, Asked(str(whole), one), share) for one in methods)
        )
        for share in SHARES
    )
    columns = (
        Column("method"), Column("reached"), Column("steps saved", "%", digits=1),
        Column("total time saved", "%", digits=1), Column("tokens saved", "%", digits=1),
    )  # fmt: skip
    of = f", {mean_title(whole, ours.evidence, combinations, ours.measured.baseline)}" if whole else ""
    return Table(NAME, f"Savings until shares of the baseline's gain{of}", columns, sections if methods else (), NOTES)


def _row(ours: Ours, asked: Asked, share: int) -> tuple[Cell, ...]:
    reached = ours.reached(asked, share)
    saved = (ours.saving(saved_column(what, share, "first"), asked) for what in SAVED)
    return (label(asked.method), reached, *saved)
