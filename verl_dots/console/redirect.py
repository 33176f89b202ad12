"""All that this process and its children write goes to a file; only what is for the user goes to where it went."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Self, TextIO


class Redirect:
    """From __enter__ to __exit__ the descriptors 1 and 2 write to the end of `file`.

    Descriptors, since Ray's daemons and libraries in C write to them past Python.

    Attributes:
        console: writes to where descriptor 1 wrote before. No child inherits it, so none holds a pipe open.
    """

    def __init__(self, file: Path):
        self.file = file
        self.console: TextIO = sys.stdout

    def __enter__(self) -> Self:
        _flush()
        self._saved = os.dup(1), os.dup(2)
        log = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(line_buffering=True)
        self.console = os.fdopen(os.dup(self._saved[0]), "w", encoding="utf-8", errors="replace")
        return self

    def __exit__(self, *error: object) -> None:
        _flush()
        with contextlib.suppress(OSError):  # nobody reads what is left, or there is no room for it
            self.console.close()
        self.console = sys.stdout
        for number, saved in enumerate(self._saved, start=1):
            os.dup2(saved, number)
            os.close(saved)


class HeldBack:
    """What is written between __enter__ and __exit__ is kept in `text` instead of shown."""

    def __init__(self):
        self.text = ""

    def __enter__(self) -> Self:
        self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115  closed on exit
        self._redirect = Redirect(Path(self._file.name)).__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._redirect.__exit__()
        self.text = self._file.read().decode(errors="replace")
        self._file.close()


def _flush() -> None:
    """Write what is kept back; what a full disk does not take is lost."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
