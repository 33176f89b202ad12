"""Questions that a model is asked, each with the row that scores its responses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.questions import questions_of
from verl_dots.data.rows import read_rows, require_columns, require_question_columns

EXTRA = "extra_info"  # of which a reward may read anything


@dataclass(frozen=True)
class AskedQuestion:
    """A question and its row in verl's schema, the prompt as `prompt`; see `questions.Questions`."""

    id: str
    text: str
    answer: str
    row: dict[str, Any]


def read_asked_questions(
    files: Sequence[str | Path], prompt_key: str = "prompt", on_conflict: str = "drop"
) -> list[AskedQuestion]:
    """Distinct questions of data files in their order; all their rows are held in memory.

    Args:
        on_conflict: see `questions_of`.

    Raises:
        QuestionError: no file, one that cannot be read or lacks a column, no rows, or rows that are no questions.
    """
    if not files:
        raise QuestionError("no data: name at least one file in verl's schema", reason="missing")
    rows: list[dict[str, Any]] = []
    names: list[str] = []
    for file in files:
        schema = require_question_columns(file, prompt_key)
        require_columns(file, ["data_source"])
        more = [EXTRA] if EXTRA in schema.names else []
        found = list(read_rows(file, [prompt_key, "data_source", "reward_model", *more]))
        names += [f"{file} row {place}" for place in range(len(found))]
        rows += found
    if not rows:
        raise QuestionError(f"no rows in {', '.join(map(str, files))}", key=str(files[0]), reason="data")
    known = questions_of(rows, prompt_key=prompt_key, on_conflict=on_conflict, name_of=names.__getitem__)
    for row in known.rows:
        rows[row]["prompt"] = rows[row].pop(prompt_key)
    columns = zip(known.ids, known.texts, known.answers, known.rows, strict=True)
    return [AskedQuestion(identity, text, answer, rows[row]) for identity, text, answer, row in columns]


def drawn(questions: Sequence[AskedQuestion], count: int | None, seed: int) -> list[AskedQuestion]:
    """`count` questions at random in their order; all where there are no more, or `count` is None."""
    if count is None or count >= len(questions):
        return list(questions)
    chosen = np.sort(np.random.default_rng(seed).choice(len(questions), count, replace=False))
    return [questions[place] for place in chosen]
