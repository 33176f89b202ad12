"""Evidence as files that are small, repeat byte for byte, and are checked when they are read.

steps.csv   `Evidence.steps`
runs.csv    `Evidence.runs`
notes.txt   `Evidence.notes`, a line each
evaluations.json   `Evidence.evaluations`, where there are some; extra.json `Evidence.extra`, likewise
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from verl_dots.evidence.evaluations import load_evaluations, save_evaluations
from verl_dots.evidence.extra_figures import load_extra, save_extra
from verl_dots.evidence.records import (
    ACCURACY_RUN,
    RUN_COLUMNS,
    RUN_KEY,
    STEP_COLUMNS,
    TIMING_RUN,
    Evidence,
    EvidenceError,
    fingerprint,
)
from verl_dots.files import write_atomically
from verl_dots.texts import number_text

STEPS_FILE, RUNS_FILE, NOTES_FILE, EVALUATIONS_FILE = "steps.csv", "runs.csv", "notes.txt", "evaluations.json"
EXTRA_FILE = "extra.json"
FILES = (STEPS_FILE, RUNS_FILE, NOTES_FILE)
# Tables that look like exports of a tracker, with those that the command writes beside them.
TABLES = (STEPS_FILE, RUNS_FILE, "by_seed.csv", "summary.csv", "rounds.csv")


def save(evidence: Evidence, folder: str | Path) -> None:
    """Write the files of an evidence into a folder, which is made if it is not there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(evidence.steps, folder / STEPS_FILE)
    write_table(evidence.runs, folder / RUNS_FILE)
    notes = "".join(" ".join(note.split()) + "\n" for note in evidence.notes)
    write_atomically(folder / NOTES_FILE, lambda path: path.write_text(notes, encoding="utf-8"))
    for what, write, name in (
        (evidence.evaluations, save_evaluations, EVALUATIONS_FILE), (evidence.extra, save_extra, EXTRA_FILE),
    ):  # fmt: skip
        if what:
            write(what, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def is_saved(folder: str | Path) -> bool:
    """Whether a folder holds an evidence."""
    return (Path(folder) / STEPS_FILE).is_file() and (Path(folder) / RUNS_FILE).is_file()


def load(folder: str | Path) -> Evidence:
    """Read what `save` wrote.

    Raises:
        EvidenceError: a file is missing, or holds a value that it must not; the message names the row and the column.
    """
    folder = Path(folder)
    steps = _read(folder / STEPS_FILE, (*RUN_KEY, *STEP_COLUMNS))
    runs = _read(folder / RUNS_FILE, (*RUN_KEY, *RUN_COLUMNS))
    for file, table in ((STEPS_FILE, steps), (RUNS_FILE, runs)):
        texts = RUN_KEY if table is steps else (*RUN_KEY, *RUN_COLUMNS)
        _check_keys(folder / file, table)
        for name in table.columns:
            if name == "seed" or name not in texts:
                whole = name in ("seed", "step")
                table[name] = _numbers(folder / file, table[name], int if whole else float)
    _check_runs(folder, steps, runs)
    file = folder / NOTES_FILE
    notes = file.read_text(encoding="utf-8").splitlines() if file.exists() else ()
    evaluations, extra = (
        read(folder / name) if (folder / name).exists() else {}
        for read, name in ((load_evaluations, EVALUATIONS_FILE), (load_extra, EXTRA_FILE))
    )
    return Evidence(steps, runs, tuple(notes), evaluations, extra)


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV: numbers as `number_text` has them, a line end of one character."""

    def write(path: Path) -> None:
        numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
        columns = [
            [number_text(value) if number else value for value in table[name].tolist()]
            for name, number in zip(table.columns, numeric, strict=True)
        ]
        with path.open("w", newline="", encoding="utf-8") as stream:
            lines = csv.writer(stream, lineterminator="\n")
            lines.writerow(table.columns)
            lines.writerows(zip(*columns, strict=True))

    write_atomically(file, write)


def _read(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table of texts, with the columns that it must begin with."""
    if not file.is_file():
        raise EvidenceError(f"there is no {file}; evidence is {', '.join(FILES)}.", key=str(file), reason="missing")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            header, *lines = list(csv.reader(stream)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        text = f"{file} is no CSV in UTF-8 ({error}); make it again, or save it as CSV UTF-8."
        raise EvidenceError(text, key=str(file), reason="damaged") from error
    if tuple(header[: len(columns)]) != tuple(columns) or len(set(header)) < len(header):
        text = f"{file} has the columns {header[:12]}; it must begin with {list(columns)}, each name once."
        raise EvidenceError(text, key=str(file), reason="file")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            text = f"{file}, row {number}: {len(line)} values for {len(header)} columns."
            raise EvidenceError(text, key=str(file), reason="size")
    if not lines:
        raise EvidenceError(f"{file} has no row.", key=str(file), reason="missing")
    return pd.DataFrame(lines, columns=header)


def _check_keys(file: Path, table: pd.DataFrame) -> None:
    for name in ("combination", "method"):
        _refuse_first(file, table[name], lambda text: text.strip() == "", "a name")
    _refuse_first(
        file, table["kind"], lambda text: text not in (ACCURACY_RUN, TIMING_RUN), f"{ACCURACY_RUN} or {TIMING_RUN}"
    )


def _numbers(file: Path, column: pd.Series, kind: type) -> pd.Series:
    """A column as numbers; empty is nan, and nothing else is. Integers are 0 or more."""

    def is_wrong(text: str) -> bool:
        try:
            return kind(text) < 0 if kind is int else bool(text) and not math.isfinite(float(text))
        except ValueError:
            return True

    _refuse_first(file, column, is_wrong, "an integer of at least 0" if kind is int else "a number, or empty")
    return pd.Series([kind(text) if text else math.nan for text in column], index=column.index, dtype=kind)


def _refuse_first(file: Path, column: pd.Series, is_wrong: Callable[[str], bool], allowed: str) -> None:
    for place, text in enumerate(column):
        if is_wrong(text):
            message = f"{file}, row {place + 2}, column {column.name}: {text!r} is not {allowed}."
            raise EvidenceError(message, key=str(column.name), reason="type")


def _check_runs(folder: Path, steps: pd.DataFrame, runs: pd.DataFrame) -> None:
    """Whether both tables tell of the same runs, each once, and each step once."""
    for file, table, key in ((RUNS_FILE, runs, RUN_KEY), (STEPS_FILE, steps, (*RUN_KEY, "step"))):
        again = table.duplicated(list(key))
        if again.any():
            place = int(again.to_numpy().argmax())
            values = "/".join(str(table[name].iloc[place]) for name in key)
            text = f"{folder / file}, row {place + 2}: {values} is there twice; {', '.join(key)} name a row."
            raise EvidenceError(text, key=file, reason="excluded")
    groups = {key: rows for key, rows in steps.groupby(list(RUN_KEY), sort=False)}
    told = {tuple(row[name] for name in RUN_KEY): row for row in runs.to_dict("records")}
    if alone := set(groups) ^ set(told):
        names = ", ".join(sorted("/".join(map(str, key)) for key in alone)[:5])
        text = f"{folder}: only one of {STEPS_FILE} and {RUNS_FILE} tells of {names}."
        raise EvidenceError(text, key=str(folder), reason="data")
    for place, (key, row) in enumerate(told.items()):
        found = fingerprint(groups[key].sort_values("step"))
        if row["fingerprint"] not in ("", found):
            text = (
                f"{folder / RUNS_FILE}, row {place + 2}, column fingerprint: {row['fingerprint']!r} is not that of the "
                f"run's rows in {STEPS_FILE}, {found!r}; one of the two files was changed."
            )
            raise EvidenceError(text, key="fingerprint", reason="damaged")
