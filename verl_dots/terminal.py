"""Where commands write: rich's console, with texts as they are, neither markup nor emoji, nor wrapped or coloured."""

from typing import IO, Any

from rich.console import Console

AS_IT_IS: dict[str, Any] = {"soft_wrap": True, "highlight": False, "markup": False, "emoji": False}
PROGRESS = "progress: "  # lines of a run's log that begin with it are shown on its console, too, now and then


def output(file: IO[str] | None = None) -> Console:
    """For what a command has to say: the standard output, or a file in its place."""
    return Console(file=file, **AS_IT_IS)


def errors() -> Console:
    """For why a command ends without that: the standard error."""
    return Console(stderr=True, **AS_IT_IS)


def sentence(error: Exception) -> str:
    """Why a command ends: what an error says; of one of the system's the file and the reason."""
    told = isinstance(error, OSError) and error.filename and error.strerror
    return f"{error.filename}: {error.strerror}" if told else str(error)
