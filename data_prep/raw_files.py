"""Rows of local files, one by one: parquet, JSON (an array, or objects one after another), each also gzipped.

Nothing is held but a piece of the file, so its size does not matter.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from data_prep.problems import SourceError
from verl_dots.data.rows import is_parquet, read_rows

SUFFIXES = (".parquet", ".json", ".jsonl", ".json.gz", ".jsonl.gz")
PIECE_CHARACTERS = 1 << 20
_SPACE = " \t\r\n\ufeff"


def is_data_file(path: Path) -> bool:
    """Whether the name says that it can be read."""
    return path.name.endswith(SUFFIXES) and not path.name.startswith(".")


def read_file(path: Path) -> Iterator[Any]:
    """Rows of a file in order.

    Raises:
        SourceError: another kind of file, empty, not UTF-8, or damaged; of parquet a QuestionError says so.
    """
    if not path.name.endswith(SUFFIXES):
        raise SourceError(f"{path}: unknown kind of file; known: {', '.join(SUFFIXES)}", key=str(path), reason="file")
    if not path.stat().st_size:
        raise SourceError(f"{path} is empty; is the download complete?", key=str(path), reason="file")
    yield from read_rows(path) if is_parquet(path) else _json(path)


def _json(path: Path) -> Iterator[Any]:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            yield from _values(_Text(file), lines=".jsonl" in path.suffixes)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8 ({error.reason}); convert it first", key=str(path), reason="file"
        ) from error
    except json.JSONDecodeError as error:
        near = error.doc[error.pos : error.pos + 60]
        raise SourceError(
            f"{path} is not JSON, or cut short: {error.msg}, at {near!r}", key=str(path), reason="file"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, brackets within brackets
        raise SourceError(f"{path} is JSON that cannot be read: {error}", key=str(path), reason="file") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(
            f"{path} is not a gzip file, cut short or damaged: {error}", key=str(path), reason="file"
        ) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", key=str(path), reason="file") from error


class _Text:
    """A JSON text read in pieces."""

    def __init__(self, file: TextIO):
        self._file = file
        self._decode = json.JSONDecoder().raw_decode
        self._text, self._place = "", 0

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in _SPACE:
                    return self._text[self._place]
                self._place += 1
            if not self._more(PIECE_CHARACTERS):
                return ""

    def skip(self, character: str) -> bool:
        """Go past this character if it is the next."""
        found = self.peek() == character
        self._place += found
        return found

    def value(self) -> Any:
        """The value that begins at the next character."""
        size = PIECE_CHARACTERS
        while True:
            try:
                value, end = self._decode(self._text, self._place)
            except json.JSONDecodeError:
                if not self._more(size):
                    raise
            else:
                # A number that ends with the piece may go on in the next.
                if end < len(self._text) or not self._more(size):
                    self._place = end
                    return value
            size *= 2

    def fail(self, message: str) -> json.JSONDecodeError:
        """The error for what stands here."""
        return json.JSONDecodeError(message, self._text, self._place)

    def _more(self, size: int) -> bool:
        piece = self._file.read(size)
        self._text, self._place = self._text[self._place :] + piece, 0
        return bool(piece)


def _values(text: _Text, lines: bool) -> Iterator[Any]:
    """Elements of the array that the text is, or the values that stand in it one after another."""
    if lines or not text.skip("["):
        while text.peek():
            yield text.value()
        return
    while not text.skip("]"):
        if not text.peek():
            raise text.fail("the array is not closed")
        yield text.value()
        if not text.skip(",") and text.peek() not in ("]", ""):
            raise text.fail("neither , nor ] after an element")
    if text.peek():
        raise text.fail("text after the end of the array")
