"""The final answer of a response, for majority votes: read out and compared the way the reward does it.

`arithmetic` and `ladder` read what follows `####`, `openai/gsm8k` the number after it, as verl does. Everything else
reads the last box; mathematics without one, what the text says the answer is. Reading and comparing happens in worker
processes under a time limit. Whether what is read is what the reward goes by is known of some data sources only: a
program has no answer that could be compared with another's. Of the others there is no majority, see `votes`.
"""

from verl_dots.rewards import by_verl, exact, grading
from verl_dots.rewards.compute import SCORERS
from verl_dots.rewards.mathematics import DEFAULT_TIMEOUT_SECONDS, DEFAULT_WORKERS, TAIL_CHARACTERS
from verl_dots.rewards.text.final_answer import bare, boxed_answer, unboxed_answer
from verl_dots.rewards.worker_pool import WorkerPool

EXACT, MATHEMATICS = SCORERS["arithmetic"], (SCORERS["math"], SCORERS["minerva"])


class AnswerReader:
    """Reads and compares answers; safe to call from many threads.

    Args:
        workers: worker processes; started when they are first needed.
        timeout_seconds: limit for one answer; past it there is none, or the two differ.
    """

    def __init__(self, workers: int = DEFAULT_WORKERS, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS):
        self._pool = WorkerPool(workers, modules=(grading.__name__,))
        self._timeout = timeout_seconds

    def read(self, data_source: str, response: str) -> str | None:
        """The final answer as it is written in the response, or None."""
        if SCORERS.get(data_source) is EXACT:
            return exact.final_answer(response) or None
        if _is_gsm8k(data_source):
            return by_verl.gsm8k_answer(response) or None
        text = response[-TAIL_CHARACTERS:]
        answer = boxed_answer(text)
        if answer is None and SCORERS.get(data_source) in MATHEMATICS and text.strip():
            answer = self._pool.run(unboxed_answer, text, limit_seconds=self._timeout).value
        return answer or None

    def same(self, one: str, other: str) -> bool:
        r"""Whether two answers are equal: \frac{1}{2} and 0.5, not 0.5 and 0.50001."""
        found = self._pool.run(grading.grade, rf"\boxed{{{one}}}", other, limit_seconds=self._timeout)
        return found.value is grading.Verdict.CORRECT

    def close(self) -> None:
        """Stop the worker processes."""
        self._pool.close()


def normalised(answer: str | None) -> str | None:
    """The answer without dollars and superfluous spaces, so that `$1 / 2$` and `1  / 2` are one vote."""
    return None if answer is None else bare(answer)


def votes(data_source: str) -> bool:
    """Whether the answers that are read are those that the reward goes by, so that the most frequent one is known.

    Not of a scorer that was registered, nor of verl's own but one.
    """
    return SCORERS.get(data_source) in (EXACT, *MATHEMATICS) or _is_gsm8k(data_source)


def compares(data_source: str) -> bool:
    """Whether answers of this source that are written differently can be equal."""
    return SCORERS.get(data_source) is not EXACT and not _is_gsm8k(data_source)


def _is_gsm8k(data_source: str) -> bool:
    return data_source == by_verl.GSM8K and data_source not in SCORERS
