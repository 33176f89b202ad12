"""Values as texts: numbers that read back as the same, durations, and tables that also read well in a terminal."""

import math
from collections.abc import Sequence

NOTHING = "–"  # a quantity that was not recorded or is undefined
WHOLE_BELOW = 2**53  # from there on a float64 is not every whole number


def number_text(value: float) -> str:
    """The shortest text of a number: 1e10 as 10000000000, 0.1 as 0.1, 3.0 as 3; empty for nan."""
    number = float(value)
    if number != number:
        return ""
    return str(int(number)) if number.is_integer() and abs(number) <= WHOLE_BELOW else repr(number)


def duration(seconds: float, measured: bool = False) -> str:
    """Seconds as "42 s", "12 min 05 s" or "3 h 07 min"; a dash for nan.

    Args:
        seconds: 0 or more.
        measured: "42.0 s" below a minute, and from an hour on the nearest minute in place of the last full one.
    """
    if math.isnan(seconds):
        return NOTHING
    if measured and round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        hours, minutes = divmod(round(seconds / 60) if measured else minutes, 60)
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A padded markdown table without a line end, the first column left-aligned, the others right-aligned."""
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[column]) for row in escaped)) for column in range(len(header))]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in escaped
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (lines[0], rule, *lines[1:]))
