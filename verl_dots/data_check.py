"""Whether data sets can be trained on: every row read, every answer put to the reward, duplicates and lengths counted.

`python -m verl_dots.check` prints what is found here; a training run refuses to start on it.
"""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from verl_dots.question_rows import QuestionError, read_rows
from verl_dots.questions import Question, read_question

# What can be wrong with a row. The last three leave it usable.
UNREADABLE, UNKNOWN_SOURCE, TOO_LONG = "no question", "unknown data source", "too long"
UNREADABLE_ANSWER, REPEATED, CONFLICTING = "unreadable answer", "repeated question", "conflicting answers"
ERRORS = (UNREADABLE, UNKNOWN_SOURCE, TOO_LONG)
WARNINGS = (UNREADABLE_ANSWER, REPEATED, CONFLICTING)
SHOWN = 5  # messages of each kind that are kept
ANSWER_THREADS = 4

# data source -> what is wrong, or None
SourceCheck = Callable[[str], str | None]
# (data source, ground truth) -> what is wrong, or None
AnswerCheck = Callable[[str, str], str | None]
# messages -> tokens
Length = Callable[[Sequence[Mapping[str, str]]], int]


@dataclass
class FileReport:
    """What was found in one file.

    Attributes:
        path: of the file.
        rows: in it.
        questions: different ones that no earlier file has.
        sources: rows of each data source.
        characters: length of each prompt, all messages together.
        tokens: the longest prompt in tokens, None where nothing was tokenized.
        problems: kind -> numbers of the rows, counted from 0.
        messages: kind -> what is wrong with the first of them, each message once, with its row.
    """

    path: Path
    rows: int = 0
    questions: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    characters: list[int] = field(default_factory=list)
    tokens: int | None = None
    problems: dict[str, list[int]] = field(default_factory=dict)
    messages: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, kind: str, row: int, message: str) -> None:
        """Note that something is wrong with a row."""
        insort(self.problems.setdefault(kind, []), row)
        shown = self.messages.setdefault(kind, {})
        if len(shown) < SHOWN:
            shown.setdefault(message, row)

    def count(self, kinds: Iterable[str]) -> int:
        """Rows with a problem of one of some kinds."""
        return len({row for kind in kinds for row in self.problems.get(kind, ())})


def check_files(
    files: Sequence[str | Path],
    *,
    prompt_key: str = "prompt",
    sources: SourceCheck | None = None,
    answers: AnswerCheck | None = None,
    length: Length | None = None,
    most_tokens: int | None = None,
    progress: bool = True,
) -> list[FileReport]:
    """Check parquet files in verl's schema, row by row; a million rows take the memory of their ids.

    Args:
        sources: asked about each row's data source; None leaves them alone.
        answers: asked once for each different answer; None leaves answers alone.
        length: of a prompt in tokens.
        most_tokens: prompts that `length` finds longer are too long.
        progress: show a bar.

    Raises:
        QuestionError: a file is missing, no parquet, damaged, empty, or lacks a column.
    """
    seen: dict[bytes, str] = {}
    prompts: dict[bytes, tuple[bytes, str]] = {}
    with ThreadPoolExecutor(ANSWER_THREADS) as threads:
        ask = _Answers(answers, threads) if answers else None
        return [
            _check_file(Path(file), prompt_key, sources, ask, length, most_tokens, seen, prompts, progress)
            for file in files
        ]


def _check_file(path: Path, prompt_key, sources, ask, length, most_tokens, seen, prompts, progress: bool) -> FileReport:
    report = FileReport(path)
    bar = tqdm(
        read_rows([path], prompt_key, ("data_source",)), path.name, _rows(path), unit="row", disable=not progress
    )
    for number, row in enumerate(bar):
        report.rows += 1
        try:
            question = read_question(row, prompt_key)
        except QuestionError as error:
            report.add(UNREADABLE, number, str(error))
            continue
        source = row.get("data_source")
        report.sources[str(source)] += 1
        if not isinstance(source, str) or not source:
            report.add(UNKNOWN_SOURCE, number, "it has no data_source, by which the reward is chosen")
        elif sources and (problem := sources(source)):
            report.add(UNKNOWN_SOURCE, number, problem)
        elif ask:
            ask.put(source, question.answer, partial(report.add, UNREADABLE_ANSWER, number))
        _check_repeats(report, number, question, seen, prompts)
        _check_length(report, number, question, length, most_tokens)
    if not report.rows:
        raise QuestionError(f"{path} has no rows")
    if ask:
        ask.finish()
    return report


def _rows(path: Path) -> int | None:
    try:
        return pq.read_metadata(path.expanduser()).num_rows
    except (pa.ArrowException, OSError):
        return None  # read_rows says what is wrong


def _check_repeats(report: FileReport, number: int, question: Question, seen: dict, prompts: dict) -> None:
    identity, here = bytes.fromhex(question.id), f"{report.path.name} row {number}"
    if identity in seen:
        report.add(REPEATED, number, f"the same as {seen[identity]}")
        return
    seen[identity] = here
    report.questions += 1
    first, where = prompts.setdefault(bytes.fromhex(question.prompt_id), (identity, here))
    if first != identity:
        report.add(CONFLICTING, number, f"the prompt of {where} with another answer, {question.answer!r:.80}")


def _check_length(report: FileReport, number: int, question: Question, length: Length | None, most: int | None) -> None:
    report.characters.append(sum(len(message["content"]) for message in question.prompt))
    if length is None:
        return
    tokens = length(question.prompt)
    report.tokens = max(report.tokens or 0, tokens)
    if most is not None and tokens > most:
        report.add(TOO_LONG, number, f"its prompt has {tokens} tokens, at most {most} are allowed")


class _Answers:
    """Asks for each different answer once, in threads; the verdicts come in the order of the rows."""

    def __init__(self, check: AnswerCheck, threads: ThreadPoolExecutor):
        self._check, self._threads = check, threads
        self._asked: dict[tuple[str, str], Any] = {}
        self._waiting: list[tuple[Any, Callable[[str], None]]] = []

    def put(self, source: str, answer: str, note: Callable[[str], None]) -> None:
        future = self._asked.get((source, answer))
        if future is None:
            future = self._asked[source, answer] = self._threads.submit(self._check, source, answer)
        self._waiting.append((future, note))

    def finish(self) -> None:
        for future, note in self._waiting:
            if (problem := future.result()) is not None:
                note(problem)
        self._waiting.clear()
