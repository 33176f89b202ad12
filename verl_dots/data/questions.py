"""Questions of a data set in verl's schema: a stable id and a text for each, duplicates and conflicts settled.

Rows are read one by one, so a million of them need memory for their ids and texts only.
"""

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.question import ID_LENGTH, read_question
from verl_dots.data.rows import count_rows, read_question_rows

logger = logging.getLogger(__name__)

SHOWN = 5  # rows or prompts named in a message
ON_CONFLICT = ("drop", "error", "keep")


@dataclass(frozen=True)
class Questions:
    """Distinct questions in the order of their first rows.

    Attributes:
        ids: [P] stable ids, see `question_id`.
        texts: [P] what a reader would call the question.
        answers: [P] the ground truths; those that are no text as JSON.
        rows: [P] int64, position of each question's first row in the input.
        of_row: [N] int64, number of the question of each row of the input; -1 for a row of none.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    answers: tuple[str, ...]
    rows: np.ndarray
    of_row: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fingerprint(self) -> str:
        """Changes with any question or their order."""
        return hashlib.sha256("".join(self.ids).encode()).hexdigest()[:ID_LENGTH]

    def means(self, number_N: np.ndarray) -> np.ndarray:
        """[P] mean over the rows of each question, of a number of each row of the input."""
        number_N = np.asarray(number_N, dtype=np.float64)
        first_P, there_N = number_N[self.rows], self.of_row >= 0
        question_M = self.of_row[there_N]
        above_M = number_N[there_N] - first_P[question_M]  # 0 where repeats agree, to the last bit
        return first_P + np.bincount(question_M, above_M, len(self)) / np.bincount(question_M, minlength=len(self))


def questions_of(
    rows: Iterable[Mapping[str, Any]], *, prompt_key: str = "prompt", on_conflict: str = "drop",
    name_of: Callable[[int], str] = "row {}".format,
) -> Questions:  # fmt: skip
    """Distinct questions of rows in verl's schema.

    Rows with the same prompt and ground truth are one question; how many were merged is logged. See `read_question`.

    Args:
        on_conflict: what to do about a prompt that occurs with different ground truths, of which at most one can be
            right: "drop" leaves its rows out and says so in the log, "error" raises, "keep" takes each for a question.
        name_of: what the row at a position is called in messages.

    Raises:
        QuestionError: rows without text, prompt or ground truth, all of them counted (its key is the first row's), or
            a conflict.
        ValueError: on_conflict is neither.
    """
    if on_conflict not in ON_CONFLICT:
        raise ValueError(f"on_conflict={on_conflict!r}: must be one of {', '.join(ON_CONFLICT)}")
    found: dict[str, tuple[int, str, str]] = {}
    identities: list[str] = []  # of each row
    first_of_prompt: dict[bytes, str] = {}
    conflicts: dict[bytes, list[str]] = {}
    bad: list[str] = []
    first_bad = ""
    count = bad_count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  the last one is the number of rows
        try:
            question = read_question(row, prompt_key)
            identity = question.id
            identities.append(identity)
            if identity in found:
                continue
            found[identity] = (count - 1, question.text, question.answer)
        except QuestionError as error:
            bad_count += 1
            first_bad = first_bad or error.key
            bad += [f"{name_of(count - 1)}: {error}"] if len(bad) < SHOWN else []
            continue
        same = bytes.fromhex(question.prompt_id)
        first = first_of_prompt.setdefault(same, identity)
        if first != identity:
            conflicts.setdefault(same, [first]).append(identity)
    if bad_count:
        text = f"{bad_count} of {count} rows are no questions (counted from 0): {'; '.join(bad)}"
        raise QuestionError(text, key=first_bad, reason="data")
    if count > len(found):
        logger.warning("%d of %d rows repeat an earlier question; each counts once", count - len(found), count)
    if conflicts and on_conflict != "keep":
        _settle(list(conflicts.values()), found, on_conflict, name_of)
    places, texts, answers = zip(*found.values(), strict=True) if found else ((), (), ())
    number = {identity: place for place, identity in enumerate(found)}
    of_row = np.array([number.get(identity, -1) for identity in identities], dtype=np.int64)
    return Questions(tuple(found), texts, answers, np.array(places, dtype=np.int64), of_row)


def _settle(
    conflicts: list[list[str]], found: dict[str, tuple[int, str, str]], on_conflict: str, name_of: Callable[[int], str]
) -> None:
    """Remove questions with conflicting answers from `found`, or refuse them."""
    shown = "; ".join(", ".join(name_of(found[identity][0]) for identity in same) for same in conflicts[:SHOWN])
    if on_conflict == "error":
        raise QuestionError(
            f"{len(conflicts)} prompts occur with different ground truths, the first: {shown}; keep one answer of "
            "each, or leave them out (dots.selection.conflicting_answers=drop)",
            key="dots.selection.conflicting_answers",
            reason="data",
        )
    gone = [identity for same in conflicts for identity in same]
    logger.warning(
        "%d prompts occur with different ground truths, the first: %s; these %d questions are left out",
        len(conflicts), shown, len(gone),
    )  # fmt: skip
    for identity in gone:
        del found[identity]


def read_questions(
    files: Sequence[str | Path],
    *,
    prompt_key: str = "prompt",
    on_conflict: str = "drop",
    places: Collection[int] | None = None,
) -> Questions:
    """Distinct questions of data files; `rows` counts through all files.

    Args:
        places: rows that are read, counted through all files; None for all.

    Raises:
        QuestionError: see above.
    """
    place_R = None if places is None else np.array(sorted(places), dtype=np.int64)

    def name_of(number: int) -> str:
        place = number if place_R is None else int(place_R[number])
        for file in files:
            size = count_rows(file)
            if place < size:
                return f"{file} row {place}"
            place -= size
        raise IndexError(place)

    rows: Iterable[Mapping[str, Any] | None] = read_question_rows(files, prompt_key)
    if places is not None:
        rows = (row for place, row in enumerate(rows) if place in places)
    found = questions_of(rows, prompt_key=prompt_key, on_conflict=on_conflict, name_of=name_of)
    if place_R is not None:
        of_row = np.full(sum(map(count_rows, files)), -1)
        of_row[place_R] = found.of_row
        found = replace(found, rows=place_R[found.rows], of_row=of_row)
    if not len(found):
        text = f"no questions in {', '.join(map(str, files)) or 'no files'}"
        raise QuestionError(text, key=str(files[0]) if files else "", reason="data" if files else "missing")
    return found
