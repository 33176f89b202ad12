"""What names data files, as a list of them, and files that cannot be read, refused by their names alone."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from verl_dots.settings import Refusal

# verl reads a file with `datasets`, to which these are patterns of names, or a path inside another file.
PATTERNS = ("*", "?", "[", "::")
SUFFIXES = (".parquet", ".json", ".jsonl")  # what verl's data set reads


class QuestionError(Refusal):
    """A file that holds no questions, or a row that is none; the message names file, row and fix.

    Its key is the column or field, or the name of the file.
    """


def file_list(names: Any) -> list[str]:
    """The files that a value of the config names: one path, several in their order, or none.

    Raises:
        QuestionError: a name is no text, or empty.
    """
    several = isinstance(names, Sequence) and not isinstance(names, str)
    found = list(names) if several else [] if names is None else [names]
    for name in found:
        if not isinstance(name, str | Path) or not str(name):
            raise QuestionError(f"{name!r} is no path; name a file, or a list of files", key=str(name), reason="type")
    return [str(name) for name in found]


def require_file(file: str | Path, suffixes: Collection[str] | None = SUFFIXES) -> Path:
    """The path of a data file.

    Args:
        suffixes: of kinds that can be read; None takes any.

    Raises:
        QuestionError: it is not there, on another machine, a folder, or of another kind.
    """
    path = Path(file).expanduser()
    if "://" in str(file):
        raise QuestionError(
            f"{str(file)!r} is not on this machine, so its rows cannot be read; copy it to a disk that all nodes see, "
            "and name the copy",
            key=str(file),
            reason="file",
        )
    if path.is_dir():
        text = f"{str(file)!r} is a folder; name the files in it, {path}/NAME.parquet"
        raise QuestionError(text, key=str(file), reason="file")
    if not path.is_file():
        text = f"there is no file {str(file)!r}; data_prep/ has scripts that write data sets"
        raise QuestionError(text, key=str(file), reason="file")
    if suffixes is not None and (signs := [sign for sign in PATTERNS if sign in str(path.absolute())]):
        text = (
            f"{str(file)!r} has {' and '.join(signs)} in its path, by which verl would look for other files; rename it"
        )
        raise QuestionError(text, key=str(file), reason="file")
    if suffixes is not None and not path.name.endswith(tuple(suffixes)):
        raise QuestionError(
            f"{str(file)!r} is of a kind that verl does not read; allowed: {', '.join(suffixes)}. Write its rows as "
            "parquet, in verl's schema (data_prep/)",
            key=str(file),
            reason="file",
        )
    return path
