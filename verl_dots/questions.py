"""Questions of a data set in verl's schema: a stable id and a text for each, duplicates and conflicts settled.

Rows are read one by one, so a million of them need memory for their ids and texts only.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

logger = logging.getLogger(__name__)

ID_LENGTH = 16
SHOWN = 5  # rows named in a message
BATCH_ROWS = 4096


class QuestionError(ValueError):
    """A row that is no question, or a file that holds none; the message names file, row and fix."""


@dataclass(frozen=True)
class Questions:
    """Distinct questions in the order of their first rows.

    Attributes:
        ids: [P] stable ids, see `question_id`.
        texts: [P] what a reader would call the question.
        rows: [P] int64, position of each question's first row in the input.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fingerprint(self) -> str:
        """Changes with any question or their order."""
        return hashlib.sha256("".join(self.ids).encode()).hexdigest()[:ID_LENGTH]


def question_id(prompt: Sequence[Mapping[str, str]], ground_truth: str) -> str:
    """Stable id of a question: the first 16 hex digits of the sha256 of prompt and ground truth.

    It does not depend on the split, the position in the file or anything in ``extra_info``.
    """
    messages = [[message["role"], message["content"]] for message in prompt]
    text = json.dumps([messages, ground_truth], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:ID_LENGTH]


def questions_of(
    rows: Iterable[Mapping[str, Any]], *, prompt_key: str = "prompt", on_conflict: str = "drop"
) -> Questions:
    """Distinct questions of rows in verl's schema.

    A question's text is extra_info["question"] where that is there, else all messages but the system's. Rows with the
    same prompt and ground truth are one question; how many were merged is logged.

    Args:
        on_conflict: what to do about a prompt that occurs with different ground truths, of which at most one can be
            right: "drop" leaves its rows out and says so in the log, "error" raises.

    Raises:
        QuestionError: a row without text, prompt or ground truth, or a conflict.
    """
    places: dict[str, int] = {}
    texts: dict[str, str] = {}
    ids_of_prompt: dict[bytes, list[str]] = {}
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  the last one is the number of rows
        prompt, truth = _prompt_of(row, prompt_key, count - 1), _truth_of(row, count - 1)
        identity = question_id(prompt, truth)
        if identity in places:
            continue
        places[identity] = count - 1
        texts[identity] = _text_of(row, prompt, count - 1)
        # The id with an empty answer stands for the prompt alone.
        ids_of_prompt.setdefault(bytes.fromhex(question_id(prompt, "")), []).append(identity)
    if count > len(places):
        logger.warning("%d of %d rows repeat an earlier question; each counts once", count - len(places), count)
    conflicts = [same for same in ids_of_prompt.values() if len(same) > 1]
    if conflicts:
        _settle(conflicts, places, on_conflict)
    kept = list(places)
    return Questions(tuple(kept), tuple(texts[i] for i in kept), np.array(list(places.values()), dtype=np.int64))


def _settle(conflicts: list[list[str]], places: dict[str, int], on_conflict: str) -> None:
    """Remove questions with conflicting answers from `places`, or refuse them."""
    rows = [places[identity] for same in conflicts for identity in same]
    shown = ", ".join(str([places[identity] for identity in same]) for same in conflicts[:SHOWN])
    if on_conflict == "error":
        raise QuestionError(
            f"{len(conflicts)} prompts occur with different ground truths, the first in rows {shown}; keep one answer "
            "of each, or leave them out (dots.selection.conflicting_answers=drop)"
        )
    logger.warning(
        "%d prompts occur with different ground truths, the first in rows %s; these %d questions are left out",
        len(conflicts), shown, len(rows),
    )  # fmt: skip
    for same in conflicts:
        for identity in same:
            del places[identity]


def read_rows(files: Sequence[str | Path], prompt_key: str = "prompt") -> Iterator[dict[str, Any]]:
    """Rows of parquet files in order, with the columns that make a question, read piece by piece.

    Raises:
        QuestionError: a file is missing, no parquet, or lacks a column.
    """
    for file in files:
        path = Path(file).expanduser()
        if not path.is_file():
            raise QuestionError(f"there is no file {str(file)!r}; data_prep/ has scripts that write data sets")
        try:
            parquet = pq.ParquetFile(path)
        except pa.ArrowException as error:
            raise QuestionError(f"{file} is not a parquet file: {error}") from error
        names = parquet.schema_arrow.names
        missing = [name for name in (prompt_key, "reward_model") if name not in names]
        if missing:
            raise QuestionError(f"{file} has no column {missing}, only {names}; data.prompt_key names the prompt's")
        wanted = [name for name in (prompt_key, "reward_model", "extra_info") if name in names]
        for batch in parquet.iter_batches(BATCH_ROWS, columns=wanted):
            yield from batch.to_pylist()


def read_questions(files: Sequence[str | Path], *, prompt_key: str = "prompt", on_conflict: str = "drop") -> Questions:
    """Distinct questions of parquet files; `rows` counts through all files. Raises QuestionError, see above."""
    found = questions_of(read_rows(files, prompt_key), prompt_key=prompt_key, on_conflict=on_conflict)
    if not len(found):
        raise QuestionError(f"no questions in {', '.join(map(str, files))}")
    return found


def _prompt_of(row: Mapping[str, Any], key: str, place: int) -> Sequence[Mapping[str, str]]:
    prompt = row.get(key)
    if isinstance(prompt, np.ndarray):
        prompt = prompt.tolist()
    if not isinstance(prompt, list) or not prompt:
        raise QuestionError(f"row {place}: {key} must be a non-empty list of messages, got {prompt!r}")
    for message in prompt:
        if not isinstance(message, Mapping) or not {"role", "content"} <= set(message):
            raise QuestionError(f"row {place}: a message of {key} has a role and a content, got {message!r}")
        if not isinstance(message["content"], str):
            raise QuestionError(f"row {place}: the content of a message must be text, got {message['content']!r}")
    return prompt


def _truth_of(row: Mapping[str, Any], place: int) -> str:
    truth = (row.get("reward_model") or {}).get("ground_truth")
    if isinstance(truth, np.ndarray):
        truth = truth.tolist()
    if truth is None or truth == "":
        raise QuestionError(f"row {place}: reward_model has no ground_truth; without it no answer can be scored")
    return truth if isinstance(truth, str) else json.dumps(truth, ensure_ascii=False, sort_keys=True)


def _text_of(row: Mapping[str, Any], prompt: Sequence[Mapping[str, str]], place: int) -> str:
    text = (row.get("extra_info") or {}).get("question")
    if not isinstance(text, str) or not text.strip():
        text = "\n".join(message["content"] for message in prompt if message["role"] != "system")
    if not text.strip():
        raise QuestionError(f"row {place}: the question has no text (all messages but the system's are blank)")
    return text
