"""Parts of a document that a script writes, each between two lines that name the script."""

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from verl_dots.settings import Refusal
from verl_dots.terminal import errors, sentence


def asked(
    about: str, arguments: Sequence[str] | None, keep: tuple[str, str] | None = None, drop: bool = False
) -> argparse.Namespace:
    """The command line of such a script: whether it has --write and, where it keeps something, a folder behind --keep.

    Args:
        about: its docstring, which names its command.
        arguments: None for those of this process.
        keep: what stands for the folder in the help, and what is done with it.
        drop: whether timing runs may be taken out of what is kept, by a method and a round behind --drop.
    """
    command = re.search(r"python (-m )?scripts[\w./]+", about)
    parser = argparse.ArgumentParser(
        prog=command and command[0], description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if keep:
        parser.add_argument("--keep", type=Path, metavar=keep[0], help=f"{keep[1]} (default: nothing is added)")
    if drop:
        parser.add_argument(
            "--drop", nargs=2, metavar=("METHOD", "ROUND"),
            help="take these timing runs out of those that are kept (default: all stay)",
        )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="put what is made into its document (default: compare)")
    options = parser.parse_args(arguments)
    if drop and options.drop:
        method, number = options.drop
        if not number.isdecimal():
            parser.error(f"--drop {method} {number}: the round must be a number")
        options.drop = method, int(number)
    return options


def status_of(main: Callable[[], int]) -> int:
    """What a command answers; 2, and a sentence without a traceback, where it refuses what it was given."""
    try:
        return main()
    except (Refusal, OSError) as error:
        errors().print(f"error: {sentence(error)}")
        return 2


def asked_to_write(about: str, arguments: Sequence[str] | None) -> bool:
    """The same of one that keeps nothing: whether it has --write."""
    return asked(about, arguments).write


def begin_of(name: str, script: str) -> str:
    """The line before such a part."""
    return f"<!-- {name}: made by {script} --write -->\n"


def end_of(name: str) -> str:
    """The line behind it."""
    return f"<!-- end of {name} -->\n"


def with_section(document: Path, name: str, script: str, text: str) -> str:
    """The document with `text` as its part `name`.

    Raises:
        ValueError: the document has no place for it.
    """
    begin, end = begin_of(name, script), end_of(name)
    before, found, rest = document.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} must hold the lines {begin.strip()} and {end.strip()}; {script} writes between")
    return f"{before}{begin}{text}{end}{after}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A markdown table; `|` in a cell stays in it.

    Args:
        head: headings.
        rows: as many cells each.
        align: a letter a column, "l" or "r"; all are on the left by default.
    """
    rule = ["---:" if side == "r" else "---" for side in align or "l" * len(head)]
    lines = [[cell.replace("|", r"\|") for cell in row] for row in (head, *rows)]
    first, *others = (f"| {' | '.join(cells)} |\n" for cells in lines)
    return "".join([first, f"|{'|'.join(rule)}|\n", *others])


def settle(document: Path, text: str, write: bool) -> int:
    """Write the document, or say by an exit status of 1 that it has another text."""
    if write:
        document.write_text(text)
        return 0
    return int(document.read_text() != text)
