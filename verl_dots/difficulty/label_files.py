"""Rows of label files, as they are written: one measurement of one question by one labeller each."""

from pathlib import Path
from typing import NamedTuple

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

    Raises ValueError for a file of neither kind, a label that is no number, or a rate outside [0, 1].
    """
    columns = set(schema_of(file).names)
    if set(LABEL_COLUMNS) <= columns:
        names = [*LABEL_COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in columns)]
        found = [
            LabelRow(
                row["question_id"], row["text"], row["answer"], _number(row["success_rate"]),
                _tries(row.get("rollouts")), row.get("labeller") or labeller,
            )
            for row in read_rows(file, names)
        ]  # fmt: skip
    elif {"prompt", "reward_model", "extra_info"} <= columns:
        found = _verl_rows(file, difficulty_range, labeller)
    else:
        raise ValueError(
            f"{file} has the columns {sorted(columns)}; allowed: {', '.join(LABEL_COLUMNS)} (written by "
            "verl_dots.difficulty.collect), or verl's prompt, reward_model, extra_info"
        )
    for row in found:
        if not 0 <= row.success_rate <= 1:
            raise ValueError(
                f"{file}: success rate {row.success_rate} of question {row.question_id} is not in [0, 1]; is the "
                f"difficulty range {difficulty_range} right?"
            )
    return found


def _verl_rows(file: Path, difficulty_range: tuple[float, float], labeller: str) -> list[LabelRow]:
    rows = list(read_rows(file, ["prompt", "reward_model", "extra_info"]))
    questions = questions_of(rows, name_of=lambda place: f"{file} row {place}")
    known = dict(zip(questions.ids, zip(questions.texts, questions.answers, strict=True), strict=True))
    found = []
    for row in rows:
        name, info = question_id(row["prompt"], row["reward_model"]["ground_truth"]), row["extra_info"]
        if name in known:
            rate = _rate(info, difficulty_range)
            tries = _tries(info.get("rollouts"))
            found.append(LabelRow(name, *known[name], rate, tries, info.get("labeller") or labeller))
    return found


def _rate(extra_info: dict, difficulty_range: tuple[float, float]) -> float:
    easiest, hardest = difficulty_range
    if extra_info.get("success_rate") is not None:
        return _number(extra_info["success_rate"])
    return 1 - (_number(extra_info.get("difficulty")) - easiest) / (hardest - easiest)


def _number(value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f"a label must be a number, got {value!r}; verl rows need extra_info.success_rate or extra_info.difficulty"
        )
    return float(value)


def _tries(value) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"the rollouts behind a label must be 1 or more, or empty where not known, got {value!r}")
    return value
