"""Measured success rates out of files: labels, or a data set in verl's schema with difficulties."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from verl_dots.data.asked_questions import read_asked_questions
from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import read_batches, schema_of
from verl_dots.simulation.pool import Measured, fit_prior

FIELDS = ("success_rate", "difficulty")


def read_difficulties(
    files: Sequence[Path], tries: int, difficulty_range: tuple[float, float], only: Sequence[Path] = ()
) -> Measured:
    """Success rates of parquet files, and the distribution that they come from.

    A file has the column `success_rate`, as `verl_dots.labelling` writes it, or `extra_info.success_rate`, or
    `extra_info.difficulty`. `rollouts` beside them says how many tries there were.

    Args:
        tries: behind each success rate where a file does not say.
        difficulty_range: difficulties of success rate 1 and 0.
        only: data sets whose questions alone make the pool; the distribution is still that of all rows. Needs labels,
            which name the questions.

    Raises:
        QuestionError: no such column, a number outside of its range, no rows, or none of the questions.
    """
    parts = [_read(file, tries, difficulty_range, named=bool(only)) for file in files]
    success_P, tries_P = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    prior = fit_prior(success_P, tries_P)
    if only:
        wanted = {question.id for question in read_asked_questions(only)}
        names = [name for part in parts for name in part[2]]
        place = np.array([name in wanted for name in names])
        if not place.any():
            text = f"none of the {len(wanted)} questions of {', '.join(map(str, only))} is in the labels"
            raise QuestionError(text, key=str(only[0]), reason="data")
        success_P, tries_P = success_P[place], tries_P[place]
    return Measured(success_P, tries_P, prior)


def _read(
    file: Path, tries: int, difficulty_range: tuple[float, float], named: bool
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """([P] success rates, [P] tries, names of the questions, or none) of a file."""
    schema = schema_of(file)
    inner = []
    if "extra_info" in schema.names and pa.types.is_struct(schema.field("extra_info").type):
        inner = [field.name for field in schema.field("extra_info").type]
    place = [name for name in FIELDS if name in schema.names] or [f"extra_info.{f}" for f in FIELDS if f in inner]
    if not place:
        raise QuestionError(
            f"{file} has no difficulties: it has the columns {sorted(schema.names)}"
            + (f", with {sorted(inner)} in extra_info" if inner else "")
            + "; needed: success_rate (as verl_dots.labelling writes it), or success_rate or difficulty in extra_info",
            key=str(file),
            reason="data",
        )
    if named and "question_id" not in schema.names:
        text = f"{file} has no column question_id, which --only needs; labels have it, so make them with "
        raise QuestionError(text + "verl_dots.labelling, or leave --only out", key="--only", reason="data")
    nested = place[0].startswith("extra_info.")
    counted = ("rollouts" in inner) if nested else "rollouts" in schema.names
    wanted = ["extra_info"] if nested else [place[0], *["rollouts"] * counted]
    batches = list(read_batches(file, [*wanted, *["question_id"] * named]))
    if not batches:
        raise QuestionError(f"no rows in {file}", key=str(file), reason="data")
    table = pa.Table.from_batches(batches)
    rate_P = _column(table, place[0], file)
    if place[0].endswith("difficulty"):
        easiest, hardest = difficulty_range
        rate_P = 1 - (rate_P - easiest) / (hardest - easiest)
    bad = np.flatnonzero(~((rate_P >= -1e-9) & (rate_P <= 1 + 1e-9)))
    if len(bad):
        raise QuestionError(
            f"{file}: {len(bad)} numbers in {place[0]} are missing or outside of their range, the first in row "
            f"{bad[0]}; is --difficulty-range {difficulty_range[0]:g} {difficulty_range[1]:g} right?",
            key=str(file),
            reason="data",
        )
    tries_P = np.full(len(rate_P), float(tries))
    if counted:
        found_P = _column(table, "extra_info.rollouts" if nested else "rollouts", file)
        tries_P = np.where(found_P >= 1, found_P, tries_P)
    return np.clip(rate_P, 0, 1), tries_P, table["question_id"].to_pylist() if named else []


def _column(table: pa.Table, name: str, file: Path) -> np.ndarray:
    """[P] a column as numbers, nan for null."""
    column, _, field = name.partition(".")
    found = table[column].combine_chunks()
    found = found.field(field) if field else found
    try:
        return np.asarray(found.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowException as error:
        raise QuestionError(f"{file}: {name} holds no numbers ({error})", key=str(file), reason="data") from error
