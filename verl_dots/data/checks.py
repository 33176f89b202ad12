"""Whether data sets can be trained on: every row read, every answer put to the reward, duplicates and lengths counted.

`python -m verl_dots.check` prints what is found here; a training run refuses to start on it.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from jinja2 import TemplateError
from tqdm import tqdm

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.file_report import (
    CONFLICTING,
    NO_REWARD,
    REFUSED,
    REPEATED,
    SHARED,
    TOO_LONG,
    UNKNOWN_ROLE,
    UNREADABLE,
    UNUSABLE,
    WRONG_TYPE,
    FileReport,
)
from verl_dots.data.prompt_length import Length
from verl_dots.data.question import Question, read_question
from verl_dots.data.rows import count_rows, read_question_rows, schema_of

ROLES = ("system", "developer", "user", "assistant", "tool")
ANSWER_THREADS = 4
MOST_WAITING = 1024  # rows that reading is ahead of the answer threads


class RewardChecks(Protocol):
    """What a reward says of data beforehand; `verl_dots.rewards.compute` is one."""

    def source_problem(self, data_source: str) -> str | None:
        """What keeps every response to questions of a source from being scored, or None."""

    def truth_problem(self, data_source: str, ground_truth: Any) -> str | None:
        """Why the reward would raise on a ground truth as the row has it, or None."""

    def reads_answers(self, data_source: str) -> bool:
        """Whether answers of a source are asked for."""

    def answer_problem(self, data_source: str, ground_truth: str) -> tuple[str, str] | None:
        """What is wrong with an answer, its kind and a message, or None. May take seconds; called from threads."""


def check_files(
    files: Sequence[str | Path],
    *,
    prompt_key: str = "prompt",
    rewards: RewardChecks | None = None,
    length: Length | None = None,
    measured: Container[int] | None = None,
    most_tokens: int | None = None,
    prompts: dict[bytes, str] | None = None,
    cells: Mapping[str, Callable[[Any], str | None]] | None = None,
    progress: bool = True,
) -> list[FileReport]:
    """Check data files in verl's schema, row by row; a million different ones take about half a gigabyte.

    Args:
        rewards: asked about each row's data source and ground truth, and once about each different answer; None leaves
            them alone.
        length: of a prompt in tokens.
        measured: rows, counted through all files, whose length is asked for; None for all.
        most_tokens: prompts that `length` finds longer are too long.
        prompts: digests of the training data's prompts and where they are; rows with one of them are told of. Those of
            these files are added at the end.
        cells: column -> what is wrong with a value of it, or None; columns that no file has are left alone. In a file
            that lacks one it is null in each row, as verl reads the files as one.
        progress: show a bar.

    Raises:
        QuestionError: a file is missing, of another kind, damaged, empty, or lacks a column.
    """
    threads = ThreadPoolExecutor(ANSWER_THREADS)
    trained = {} if prompts is None else prompts
    answers = _Answers(rewards, threads) if rewards else None
    there = {column for file in files for column in schema_of(file).names} if cells else set()
    asked = {column: problem_of for column, problem_of in (cells or {}).items() if column in there}
    check = _Check(prompt_key, rewards, answers, length, measured, most_tokens, trained, asked)
    try:
        reports = [check.file(Path(file), progress) for file in files]
    finally:
        threads.shutdown(cancel_futures=True)
    trained.update(check.prompts)
    return reports


class _Check:
    """Checks one file after the other; what was seen in one is remembered in the next."""

    def __init__(
        self,
        prompt_key: str,
        rewards: RewardChecks | None,
        answers: "_Answers | None",
        length: Length | None,
        measured: Container[int] | None,
        most: int | None,
        trained: Mapping[bytes, str],
        cells: Mapping[str, Callable[[Any], str | None]],
    ):
        self._prompt_key, self._rewards, self._answers = prompt_key, rewards, answers
        self._length, self._measured, self._most, self._trained, self._cells = length, measured, most, trained, cells
        self._before = 0  # rows of the files before
        self._seen: dict[bytes, str] = {}
        self._prompts: dict[bytes, tuple[bytes, str]] = {}

    @property
    def prompts(self) -> dict[bytes, str]:
        """Digests of the prompts, and where each was first."""
        return {prompt: where for prompt, (_, where) in self._prompts.items()}

    def file(self, path: Path, progress: bool) -> FileReport:
        report = FileReport(path)
        rows = read_question_rows(
            [path], self._prompt_key, ("data_source", *(self._cells.keys() - {"data_source", self._prompt_key}))
        )
        for number, row in enumerate(tqdm(rows, path.name, _rows(path), unit="row", disable=not progress)):
            report.rows += 1
            try:
                question = read_question(row, self._prompt_key)
            except QuestionError as error:
                report.add(UNREADABLE, number, str(error))
                continue
            source = row.get("data_source")
            report.sources[str(source)] += 1
            self._check_roles(report, number, question)
            self._check_reward(report, number, question, source)
            self._check_cells(report, number, row)
            self._check_repeats(report, number, question)
            self._check_length(report, number, question)
        if not report.rows:
            raise QuestionError(f"{path} has no rows", key=str(path), reason="data")
        if self._answers:
            self._answers.finish()
        self._before += report.rows
        return report

    def _check_roles(self, report: FileReport, number: int, question: Question) -> None:
        unknown = [message["role"] for message in question.prompt if message["role"] not in ROLES]
        if unknown:
            known = ", ".join(ROLES)
            text = f"the role {unknown[0]!r} is unknown to chat templates, which may leave its message out"
            report.add(UNKNOWN_ROLE, number, f"{text}; known: {known}")

    def _check_reward(self, report: FileReport, number: int, question: Question, source: Any) -> None:
        if not isinstance(source, str) or not source:
            report.add(NO_REWARD, number, "it has no data_source, by which the reward is chosen")
        elif self._rewards is None:
            return
        elif problem := self._rewards.source_problem(source):
            report.add(NO_REWARD, number, problem)
        elif problem := self._rewards.truth_problem(source, question.ground_truth):
            report.add(WRONG_TYPE, number, problem)
        elif self._rewards.reads_answers(source):
            self._answers.put(report, number, source, question.answer)

    def _check_cells(self, report: FileReport, number: int, row: Mapping[str, Any]) -> None:
        for column, problem_of in self._cells.items():
            if problem := problem_of(row.get(column)):
                lacks = "" if column in row else f"; its file has no column {column}, and one that is read with it has"
                report.add(UNUSABLE, number, problem + lacks)

    def _check_repeats(self, report: FileReport, number: int, question: Question) -> None:
        identity, here = bytes.fromhex(question.id), f"{report.path.name} row {number}"
        prompt = bytes.fromhex(question.prompt_id)
        if prompt in self._trained:
            report.add(SHARED, number, f"its prompt is that of {self._trained[prompt]}")
        if identity in self._seen:
            report.add(REPEATED, number, f"the same as {self._seen[identity]}")
            return
        self._seen[identity] = here
        report.questions += 1
        first, where = self._prompts.setdefault(prompt, (identity, here))
        if first != identity:
            report.add(CONFLICTING, number, f"the prompt of {where} with another answer, {question.answer!r:.80}")

    def _check_length(self, report: FileReport, number: int, question: Question) -> None:
        report.characters.append(sum(len(message["content"]) for message in question.prompt))
        if self._length is None or (self._measured is not None and self._before + number not in self._measured):
            return
        try:
            tokens = self._length(question.prompt)
        except TemplateError as error:
            report.add(REFUSED, number, f"the tokenizer's chat template refuses it: {error}")
            return
        report.tokens = max(report.tokens or 0, tokens)
        if self._most is not None and tokens > self._most:
            report.add(TOO_LONG, number, f"its prompt has {tokens} tokens, at most {self._most} are allowed")


def _rows(path: Path) -> int | None:
    try:
        return count_rows(path)
    except (QuestionError, OSError):
        return None  # reading says what is wrong


class _Answers:
    """Asks about each different answer once, in threads; what they find comes in the order of the rows.

    Of an answer that is done, no more is kept than a digest, and what is wrong with it.
    """

    def __init__(self, rewards: RewardChecks, threads: ThreadPoolExecutor):
        self._ask, self._threads = rewards.answer_problem, threads
        self._asked: set[bytes] = set()
        self._problems: dict[bytes, tuple[str, str]] = {}
        # Rows in their order; the first one with an answer holds the verdict, and so stands before the others.
        self._waiting: deque[tuple[FileReport, int, bytes, Future[tuple[str, str] | None] | None]] = deque()

    def put(self, report: FileReport, number: int, source: str, answer: str) -> None:
        key = hashlib.blake2b(f"{source}\0{answer}".encode(), digest_size=16).digest()
        future = None if key in self._asked else self._threads.submit(self._ask, source, answer)
        self._asked.add(key)
        self._waiting.append((report, number, key, future))
        while len(self._waiting) > MOST_WAITING:
            self._settle()

    def finish(self) -> None:
        while self._waiting:
            self._settle()

    def _settle(self) -> None:
        report, number, key, future = self._waiting.popleft()
        if future is not None and (problem := future.result()) is not None:
            self._problems[key] = problem
        if key in self._problems:
            kind, message = self._problems[key]
            report.add(kind, number, message)
