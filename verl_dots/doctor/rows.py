"""What a check finds: rows of the doctor's table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich import box
from rich.table import Table

Outcome = Literal["pass", "fail", "warning", "skipped", "measured"]
STYLES: Mapping[str, str] = {
    "pass": "green", "fail": "bold red", "warning": "yellow", "skipped": "dim", "measured": "",
}  # fmt: skip
# What to do about a model that is neither here nor given by the hub.
FETCH = "`hf download {path}` where there is a network, perhaps after `hf auth login`; HF_HOME is the cache"


@dataclass(frozen=True)
class Row:
    """One thing that was looked at.

    Attributes:
        check: what.
        value: what was found; of a skipped check why it did not run.
        limit: what it must be; none where a figure is only told.
        outcome: `measured` where there is no limit. What could not run is `skipped`, never `pass`. A `warning` is of
            what this recipe can do without.
        fix: what to do, of one that failed or warns.
    """

    check: str
    value: str
    limit: str = ""
    outcome: Outcome = "measured"
    fix: str = ""


def judged(check: str, good: bool, value: str, limit: str, fix: str) -> Row:
    """A row that passes or fails; `fix` is told where it fails."""
    return Row(check, value, limit, "pass" if good else "fail", "" if good else fix)


def warned(check: str, value: str, fix: str) -> Row:
    """A row of what the recipe can do without: another would lack it, or this one is slower."""
    return Row(check, value, outcome="warning", fix=fix)


def skipped(check: str, why: str) -> Row:
    """A row of what could not be looked at."""
    return Row(check, why, outcome="skipped")


def table(rows: Sequence[Row]) -> Table:
    """All rows, for the terminal."""
    shown = Table(box=box.SIMPLE_HEAD)
    for heading in ("check", "value", "limit", "outcome", "fix"):
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(row.check, row.value, row.limit, row.outcome, row.fix, style=STYLES[row.outcome])
    return shown


def as_json(rows: Sequence[Row], about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The same, with how many there are of each outcome.

    Args:
        about: what the table is of.
    """
    counts = {outcome: sum(row.outcome == outcome for row in rows) for outcome in STYLES}
    return {"about": dict(about or {}), "counts": counts, "rows": [asdict(row) for row in rows]}
