"""Where commands write: rich's console, with texts as they are, neither markup nor emoji, nor wrapped or coloured."""

import os
from typing import IO, Any

from rich.console import Console
from rich.table import Table

AS_IT_IS: dict[str, Any] = {"soft_wrap": True, "highlight": False, "markup": False, "emoji": False}
WIDTH = 180  # characters that a table may have where no terminal, and no COLUMNS, says how many there are
PROGRESS = "progress: "  # lines of a run's log that begin with it are shown on its console, too, now and then


class _Output(Console):
    """Keeps lines whole, but folds the cells of tables to its width: it would cut them."""

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        if soft_wrap is None and any(isinstance(one, Table) for one in objects):
            soft_wrap = False
        super().print(*objects, soft_wrap=soft_wrap, **options)


def output(file: IO[str] | None = None) -> Console:
    """For what a command has to say: the standard output, or a file in its place."""
    console = _Output(file=file, **AS_IT_IS)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH
    return console


def errors() -> Console:
    """For why a command ends without that: the standard error."""
    return Console(stderr=True, **AS_IT_IS)


def sentence(error: Exception) -> str:
    """Why a command ends: what an error says; of one of the system's the file and the reason."""
    told = isinstance(error, OSError) and error.filename and error.strerror
    return f"{error.filename}: {error.strerror}" if told else str(error)
