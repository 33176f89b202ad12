"""The data files of an evaluation: their questions, and what each is called in the tables."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verl_dots.data.asked_questions import AskedQuestion, read_asked_questions
from verl_dots.data.file_lists import QuestionError
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

AVERAGE = "average"


@dataclass(frozen=True)
class DataSet:
    """One data file.

    Attributes:
        label: unique among the data sets of an evaluation.
        questions: in the order of the file, each once.
    """

    label: str
    questions: tuple[AskedQuestion, ...]


def read_data_sets(files: Sequence[str], prompt_key: str = "prompt", limit: int | None = None) -> list[DataSet]:
    """Questions of every file, the first `limit` of each or all.

    A data set is called by the `data_source` of its rows where they have one that no other file has, else by the name
    of its file. Rows with the same prompt and answer are one question.

    Raises:
        QuestionError: a file cannot be read, or a row is no question or has no data source.
        ConfigError: two data sets would have one name; limit < 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: must be at least 1", key="--limit", reason="range")
    questions_F = [_questions(file, prompt_key)[:limit] for file in files]
    source_F = [sorted({question.row["data_source"] for question in questions}) for questions in questions_F]
    owners = Counter(source for sources in source_F for source in sources)
    label_F = [
        sources[0] if len(sources) == 1 and owners[sources[0]] == 1 else Path(file).stem
        for file, sources in zip(files, source_F, strict=True)
    ]
    for label, count in Counter([*label_F, AVERAGE]).items():
        if count > 1:
            raise ConfigError(
                f"--data: {count} data sets would be called {label!r}; give the files names of their own, or each its "
                f"own data_source (files: {', '.join(files)})",
                key="--data",
                reason="excluded",
            )
    return [DataSet(label, tuple(questions)) for label, questions in zip(label_F, questions_F, strict=True)]


def _questions(file: str, prompt_key: str) -> list[AskedQuestion]:
    found = read_asked_questions([file], prompt_key, on_conflict="keep")
    nameless = [question for question in found if not isinstance(question.row["data_source"], str)]
    if nameless:
        raise QuestionError(
            f"{file}: {len(nameless)} questions have no data_source, which picks the reward function, the first "
            f"{nameless[0].text!r:.80}; name it",
            key="data_source",
            reason="data",
        )
    return found
