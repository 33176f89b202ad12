"""Questions of a data set in verl's schema: a stable id and a text for each, duplicates and conflicts settled.

Rows are read one by one, so a million of them need memory for their ids and texts only.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import NO_TRUTH, NOT_UTF8, TRUTH, count_rows, read_question_rows

logger = logging.getLogger(__name__)

ID_LENGTH = 16
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
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    answers: tuple[str, ...]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fingerprint(self) -> str:
        """Changes with any question or their order."""
        return hashlib.sha256("".join(self.ids).encode()).hexdigest()[:ID_LENGTH]


@dataclass(frozen=True)
class Question:
    """One row of a data set, read.

    Attributes:
        prompt: its messages.
        text: what a reader would call the question.
        answer: the ground truth; one that is no text as JSON.
        ground_truth: as the row has it, which is what a reward gets.
    """

    prompt: Sequence[Mapping[str, str]]
    text: str
    answer: str
    ground_truth: Any

    @property
    def id(self) -> str:
        """See `question_id`."""
        return question_id(self.prompt, self.answer)

    @property
    def prompt_id(self) -> str:
        """The same for questions with the same prompt, whatever their answer."""
        return question_id(self.prompt, "")


def read_question(row: Mapping[str, Any] | None, prompt_key: str = "prompt") -> Question:
    """The question of a row in verl's schema; its text is extra_info["question"] where that is there, else all messages
    but the system's. None stands for a row whose text cannot be decoded.

    Raises:
        QuestionError: what is missing or of a wrong shape.
    """
    if row is None:
        raise QuestionError(NOT_UTF8, reason="data")
    prompt = _prompt_of(row, prompt_key)
    truth, answer = _truth_of(row)
    return Question(prompt, _text_of(row, prompt), answer, truth)


def question_id(prompt: Sequence[Mapping[str, str]], ground_truth: Any) -> str:
    """Stable id of a question: the first 16 hex digits of the sha256 of prompt and ground truth.

    It does not depend on the split, the position in the file or anything in ``extra_info``. A ground truth that is not
    a string counts as its JSON, so 5 and "5" are one answer. Raises TypeError for one that has no JSON.
    """
    messages = [[message["role"], message["content"]] for message in prompt]
    text = json.dumps([messages, _canonical(ground_truth)], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:ID_LENGTH]


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
    first_of_prompt: dict[bytes, str] = {}
    conflicts: dict[bytes, list[str]] = {}
    bad: list[str] = []
    first_bad = ""
    count = bad_count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  the last one is the number of rows
        try:
            question = read_question(row, prompt_key)
            identity = question.id
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
    return Questions(tuple(found), texts, answers, np.array(places, dtype=np.int64))


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


def read_questions(files: Sequence[str | Path], *, prompt_key: str = "prompt", on_conflict: str = "drop") -> Questions:
    """Distinct questions of data files; `rows` counts through all files. Raises QuestionError, see above."""

    def name_of(place: int) -> str:
        for file in files:
            size = count_rows(file)
            if place < size:
                return f"{file} row {place}"
            place -= size
        raise IndexError(place)

    rows = read_question_rows(files, prompt_key)
    found = questions_of(rows, prompt_key=prompt_key, on_conflict=on_conflict, name_of=name_of)
    if not len(found):
        text = f"no questions in {', '.join(map(str, files)) or 'no files'}"
        raise QuestionError(text, key=str(files[0]) if files else "", reason="data" if files else "missing")
    return found


def _prompt_of(row: Mapping[str, Any], key: str) -> Sequence[Mapping[str, str]]:
    def wrong(text: str) -> QuestionError:
        return QuestionError(text, key=key, reason="data")

    prompt = row.get(key)
    if isinstance(prompt, np.ndarray):
        prompt = prompt.tolist()
    if not isinstance(prompt, list | tuple) or not prompt:
        raise wrong(f"{key} must be a non-empty list of messages, got {prompt!r:.200}")
    for message in prompt:
        if not isinstance(message, Mapping) or not {"role", "content"} <= set(message):
            raise wrong(f"a message of {key} has a role and a content, got {message!r:.200}")
        if not isinstance(message["role"], str) or not isinstance(message["content"], str):
            raise wrong(f"role and content of a message of {key} must be text, got {message!r:.200}")
    if not any(message["content"].strip() for message in prompt if message["role"] != "system"):
        raise wrong(f"the question has no text (all messages of {key} but the system's are blank)")
    if any(message["role"] == "user" and not message["content"].strip() for message in prompt):
        raise wrong(f"a message of the user is blank in {key}: {prompt!r:.200}")
    return prompt


def _truth_of(row: Mapping[str, Any]) -> tuple[Any, str]:
    """The ground truth as it is, and as text."""
    truth = _field(row, "reward_model", "ground_truth")
    try:
        text = "" if truth is None or truth != truth else _canonical(truth)  # NaN is pandas' way to say None
    except TypeError as error:
        raise QuestionError(f"{TRUTH}: {error}", key=TRUTH, reason="type") from error
    if not text.strip():
        raise QuestionError(NO_TRUTH, key=TRUTH, reason="data")
    return truth, text


def _text_of(row: Mapping[str, Any], prompt: Sequence[Mapping[str, str]]) -> str:
    text = _field(row, "extra_info", "question")
    if not isinstance(text, str) or not text.strip():
        text = "\n".join(message["content"] for message in prompt if message["role"] != "system")
    return text


def _field(row: Mapping[str, Any], column: str, field: str) -> Any:
    value = row.get(column)
    value = value.get(field) if isinstance(value, Mapping) else None
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _canonical(truth: Any) -> str:
    if isinstance(truth, str):
        return truth
    return json.dumps(truth, ensure_ascii=False, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a ground truth is text, a number, or lists or dicts of them, got {type(value).__name__}")
