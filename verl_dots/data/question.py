"""A question: one row of a data set in verl's schema, read, with a stable id."""

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import NO_TRUTH, NOT_UTF8, TRUTH

ID_LENGTH = 16
INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")  # of the categories of Unicode


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
    for name in ("reward_model", "extra_info"):  # of a JSON file whose rows differ
        if not isinstance(row.get(name), Mapping | None):
            text = f"its {name} is {row[name]!r:.80} ({type(row[name]).__name__}); it must be a dict"
            raise QuestionError(text, key=name, reason="type")
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


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: spaces, controls, marks of byte order and direction, and no others."""
    return all(unicodedata.category(letter) in INVISIBLE for letter in text)


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
    if all(is_blank(message["content"]) for message in prompt if message["role"] != "system"):
        raise wrong(f"the question has no text (all messages of {key} but the system's are blank)")
    if any(message["role"] == "user" and is_blank(message["content"]) for message in prompt):
        raise wrong(f"a message of the user is blank in {key}: {prompt!r:.200}")
    return prompt


def _truth_of(row: Mapping[str, Any]) -> tuple[Any, str]:
    """The ground truth as it is, and as text."""
    truth = _field(row, "reward_model", "ground_truth")
    try:
        text = "" if truth is None or truth != truth else _canonical(truth)  # NaN is pandas' way to say None
    except TypeError as error:
        raise QuestionError(f"{TRUTH}: {error}", key=TRUTH, reason="type") from error
    if is_blank(text):
        raise QuestionError(NO_TRUTH, key=TRUTH, reason="data")
    if isinstance(truth, float) and not math.isfinite(truth):
        raise QuestionError(f"{TRUTH} is {truth}; it must be a finite number, or text", key=TRUTH, reason="data")
    return truth, text


def _text_of(row: Mapping[str, Any], prompt: Sequence[Mapping[str, str]]) -> str:
    text = _field(row, "extra_info", "question")
    if not isinstance(text, str) or is_blank(text):
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
