"""Rows of label files, as they are written: one measurement of one question by one labeller each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.question import question_id
from verl_dots.data.questions import questions_of
from verl_dots.data.rows import read_rows, schema_of

LABEL_COLUMNS = ("question_id", "text", "answer", "success_rate")
OPTIONAL_COLUMNS = ("rollouts", "labeller")


class LabelRow(NamedTuple):
    """A success rate in [0, 1]; `rollouts` behind it, None where the file does not say; who was asked."""

    question_id: str
    text: str
    answer: str
    success_rate: float
    rollouts: int | None
    labeller: str


def read_label_rows(file: Path, difficulty_range: tuple[float, float], labeller: str) -> list[LabelRow]:
    """Rows of a file of either kind (see labels.py); ``labeller`` is that of the rows that name none.

    Raises:
        QuestionError: the file cannot be read or is of neither kind, or a row holds a label that is no number, a rate
            outside [0, 1], or a name or text of another type; it names file and row.
    """
    columns = set(schema_of(file).names)
    if set(LABEL_COLUMNS) <= columns:
        found = _collected_rows(
            file, [*LABEL_COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in columns)], labeller
        )
    elif {"prompt", "reward_model", "extra_info"} <= columns:
        found = _verl_rows(file, difficulty_range, labeller)
    else:
        raise QuestionError(
            f"{file} has the columns {sorted(columns)}; allowed: {', '.join(LABEL_COLUMNS)} (written by "
            "verl_dots.difficulty.collect), or verl's prompt, reward_model, extra_info",
            key=str(file),
            reason="data",
        )
    for row in found:
        if not 0 <= row.success_rate <= 1:
            raise QuestionError(
                f"{file}: success rate {row.success_rate} of question {row.question_id} is not in [0, 1]; is the "
                f"difficulty range {difficulty_range} right?",
                key=str(file),
                reason="range",
            )
    return found


def _collected_rows(file: Path, names: list[str], labeller: str) -> list[LabelRow]:
    found = []
    for place, row in enumerate(read_rows(file, names)):
        texts = [_text(f"{file} row {place}", name, row[name]) for name in ("question_id", "text", "answer")]
        found.append(LabelRow(*texts, *_measured(f"{file} row {place}", row, row["success_rate"], labeller)))
    return found


def _verl_rows(file: Path, difficulty_range: tuple[float, float], labeller: str) -> list[LabelRow]:
    rows = list(read_rows(file, ["prompt", "reward_model", "extra_info"]))
    questions = questions_of(rows, name_of=lambda place: f"{file} row {place}")
    known = dict(zip(questions.ids, zip(questions.texts, questions.answers, strict=True), strict=True))
    easiest, hardest = difficulty_range
    found = []
    for place, row in enumerate(rows):
        name, info = question_id(row["prompt"], row["reward_model"]["ground_truth"]), row["extra_info"] or {}
        if name in known:
            where, rate = f"{file} row {place}", info.get("success_rate")
            if rate is None:
                rate = 1 - (_number(where, info.get("difficulty")) - easiest) / (hardest - easiest)
            found.append(LabelRow(name, *known[name], *_measured(where, info, rate, labeller)))
    return found


def _measured(where: str, row: Mapping[str, Any], rate: Any, labeller: str) -> tuple[float, int | None, str]:
    """Success rate, the rollouts behind it, and who was asked."""
    tries = row.get("rollouts")
    if tries is not None and (isinstance(tries, bool) or not isinstance(tries, int) or tries < 1):
        text = f"the rollouts behind a label must be 1 or more, or empty where not known, got {tries!r:.80}"
        raise QuestionError(f"{where}: {text}", key="rollouts", reason="data")
    name = row.get("labeller")
    return _number(where, rate), tries, labeller if name in (None, "") else _text(where, "labeller", name)


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QuestionError(
            f"{where}: a label must be a number, got {value!r:.80}; verl rows need extra_info.success_rate or "
            "extra_info.difficulty",
            key="success_rate",
            reason="data",
        )
    return float(value)


def _text(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        text = f"{where}: {name} must be text, got {value!r:.80}; write it as text"
        raise QuestionError(text, key=name, reason="type")
    return value
