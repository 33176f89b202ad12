"""Answers that no response may match, as the reward of a data source sees them."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from data_prep.text import digest
from verl_dots.rewards import compute

THREADS = 4  # that wait for the reward's own processes
MOST_WAITING = 256


class AnswerCheck:
    """Asks the reward about each different answer of a data source once; kept are digests alone."""

    def __init__(self, data_source: str):
        self._source = data_source
        self._asks = compute.reads_answers(data_source)
        self._kinds: dict[int, str | None] = {}
        self._waiting: list[str] = []
        self._counts: Counter[str] = Counter()

    def kinds(self, answers: Sequence[str]) -> list[str | None]:
        """For each answer the kind of its problem (`verl_dots.rewards.problems`), None for one that has none."""
        if not self._asks:
            return [None] * len(answers)
        new = {digest(answer): answer for answer in answers if digest(answer) not in self._kinds}
        with ThreadPoolExecutor(THREADS) as threads:
            self._kinds.update(zip(new, threads.map(self._problem, new.values()), strict=True))
        return [self._kinds[digest(answer)] for answer in answers]

    def add(self, answer: str) -> None:
        """Count a row with this answer."""
        self._waiting.append(answer)
        if len(self._waiting) == MOST_WAITING:
            self._settle()

    def counts(self) -> dict[str, int]:
        """How many of the rows that were added have each kind of problem."""
        self._settle()
        return dict(sorted(self._counts.items()))

    def _settle(self) -> None:
        self._counts.update(kind for kind in self.kinds(self._waiting) if kind is not None)
        self._waiting.clear()

    def _problem(self, answer: str) -> str | None:
        problem = compute.answer_problem(self._source, answer)
        return None if problem is None else problem[0]
