r"""From a raw row to a problem: a question, its answer, and what else the source says about it.

A source's `convert` reads the row with `value_of`, `text_of` and `number_of`. It raises `Unusable` for a row that
should have been a problem and is none (nothing in it, no answer), `LeftOut` for one that the data set is not about
(another level), `SourceError` where the source itself is another one than expected.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_prep.text import without_instruction
from verl_dots.rewards.text.final_answer import last_boxed
from verl_dots.settings import Refusal

FLAGS = {"true": True, "1": True, "false": False, "0": False}
_BARE_BOX = re.compile(r"\\boxed\s+([^\s$]+)")


class SourceError(Refusal):
    """A source that cannot be read, or is not what the script expects; the message says what to do."""


class LeftOut(Exception):
    """A row that does not belong into the data set; the message is the reason, under which it is counted."""


class Unusable(LeftOut):
    """A row that is damaged; the message is the reason, under which it is counted and warned about."""


@dataclass(frozen=True)
class Problem:
    """A question, its ground truth, and further fields of extra_info."""

    question: str
    answer: str
    extra: Mapping[str, Any] = field(default_factory=dict)


def value_of(row: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of these columns that the row has.

    Raises:
        SourceError: it has none of them.
    """
    for name in names:
        if name in row:
            return row[name]
    text = f"no column {' or '.join(map(repr, names))}, only {sorted(map(str, row))}; is this the right --source?"
    raise SourceError(text, key=names[0], reason="data")


def text_of(row: Mapping[str, Any], what: str, *names: str) -> str:
    """The same as text, without spaces around it; whole numbers lose their ".0".

    Args:
        what: how messages call it.

    Raises:
        SourceError: the row has no such column.
        Unusable: it is empty, neither text nor number, or no Unicode.
    """
    value = value_of(row, *names)
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise Unusable(f"{what} is a {type(value).__name__}")
    text = _text(value, what)
    if not text:
        raise Unusable(f"no {what}")
    return text


def optional_text(row: Mapping[str, Any], name: str) -> str | None:
    """A column as text, or None where it is not there or empty. Raises Unusable for one that is no Unicode."""
    return _text(row.get(name), name) or None


def _text(value: Any, what: str) -> str:
    """A value as text, see `text_of`; "" for None and for NaN, which is pandas' way to say None."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _encodable(str(value).strip(), what)


def _encodable(text: str, what: str) -> str:
    """The text, which no file could hold otherwise: JSON can spell half of a character (a lone surrogate)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Unusable(f"{what} with half a character (a lone surrogate)") from error
    return text


def number_of(row: Mapping[str, Any], name: str) -> float | None:
    """A column's number, or None where it is not there or empty.

    Raises:
        SourceError: it is no finite number.
    """
    value = row.get(name)
    if value is None or value != value:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise SourceError(
            f"{name} must be a number, got {value!r:.80}; is this the right --source?", key=name, reason="type"
        )
    return number


def flag_of(row: Mapping[str, Any], name: str) -> bool:
    """Whether a column says True, in words or as 1, too; not where it is not there or empty.

    Raises:
        SourceError: it says neither True nor False.
    """
    text = (optional_text(row, name) or "false").casefold()
    if text not in FLAGS:
        raise SourceError(
            f"{name} must be true or false, got {row[name]!r:.80}; is this the right --source?", key=name, reason="type"
        )
    return FLAGS[text]


def boxed_answer(solution: str) -> str:
    r"""The content of the last \boxed{...} or \fbox{...} of a solution, or of a `\boxed 2` without braces.

    Raises:
        Unusable: there is none.
    """
    found = last_boxed(solution.replace(r"\fbox{", r"\boxed{"))
    if not found:
        bare = _BARE_BOX.findall(solution)
        found = bare[-1] if bare else None
    if not found:
        raise Unusable("no boxed answer in the solution")
    return found


def answer_or_box(row: Mapping[str, Any]) -> str:
    """The answer's own column, or the box of the solution where there is no such column."""
    if any(name in row for name in ("answer", "Answer")):
        return text_of(row, "answer", "answer", "Answer")
    return boxed_answer(text_of(row, "solution", "solution", "Solution"))


def is_verl_row(row: Mapping[str, Any]) -> bool:
    """Whether a row is in verl's schema already."""
    return "prompt" in row and "reward_model" in row


def from_verl_row(row: Mapping[str, Any]) -> Problem:
    """The problem in a row of verl's schema; instructions that are known go, extra_info.difficulty stays.

    Raises:
        SourceError, Unusable: see `verl_question`; or the difficulty is no number.
    """
    question, answer = verl_question(row)
    difficulty = number_of(row.get("extra_info") or {}, "difficulty")
    return Problem(question, answer, {} if difficulty is None else {"difficulty": difficulty})


def verl_question(row: Mapping[str, Any]) -> tuple[str, str]:
    """Question, without instructions that are known, and answer of a row in verl's schema.

    Raises:
        SourceError: prompt, reward_model or extra_info are not as verl has them.
        Unusable: no question or no ground truth.
    """
    prompt, rewards, extra = row["prompt"], row["reward_model"], row.get("extra_info") or {}
    if not isinstance(prompt, list) or not isinstance(rewards, Mapping) or not isinstance(extra, Mapping):
        text = "prompt must be a list of messages, reward_model and extra_info dicts; is this verl's schema?"
        raise SourceError(text, key="prompt", reason="type")
    if "ground_truth" not in rewards:
        text = f"reward_model has no ground_truth, only {sorted(map(str, rewards))}; is this verl's schema?"
        raise SourceError(text, key="reward_model", reason="data")
    asked = _said_by_user(prompt)
    answer = text_of(rewards, "answer", "ground_truth")
    text = extra.get("question")
    text = text if isinstance(text, str) and text.strip() else asked
    return text_of({"question": without_instruction(text)}, "question", "question"), answer


def _said_by_user(prompt: list[Any]) -> str:
    for message in prompt:
        fields = [message.get(name) for name in ("role", "content")] if isinstance(message, Mapping) else [None]
        if not all(isinstance(field, str) for field in fields):
            raise SourceError(
                f"a message of prompt has a role and a content, both text, got {message!r:.200}; "
                "is this verl's schema?",
                key="prompt",
                reason="type",
            )
    return "\n".join(message["content"] for message in prompt if message["role"] == "user")
