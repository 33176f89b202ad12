"""Ratings of questions from a language model: what it is asked, what its reply says, and who gets none.

A question without a rating is one whose replies hold none, or one that the endpoint refuses (longer than the model's
context, stopped by a content filter) while it answers others.
"""

import logging
import re
from collections.abc import Mapping

from tqdm import tqdm

from data_prep.chat import Chat, ChatSettings, RequestRefused, for_each
from data_prep.journal import Journal
from data_prep.text import without_instruction
from verl_dots.data.questions import Questions

logger = logging.getLogger(__name__)

ASKS = 3  # of one question whose reply holds no rating
FIRST = 8  # questions; an endpoint that refuses so many and answers none takes no such request at all
# Difficulty in [0, 100] of each rating, from easiest to hardest.
SCALES: dict[str, dict[str, float]] = {
    "1-5": {"1": 0.0, "2": 25.0, "3": 50.0, "4": 75.0, "5": 100.0},
    "thirds": {"easy": 0.0, "mid": 50.0, "hard": 100.0},
}
TASK = (
    "You rate how hard questions are for a strong high-school student. Do not solve the question. Weigh how many steps "
    "a solution takes, how advanced its ideas are, and how likely a slip is. Reply with one line and nothing else:\n"
    "Difficulty: X\nwhere X is one of {ratings}, from easiest to hardest."
)
_RATING = re.compile(r"difficulty\W+(\w+)", re.IGNORECASE)


def conversation(question: str, scale: Mapping[str, float]) -> list[dict[str, str]]:
    """The messages that ask for a rating."""
    task = TASK.format(ratings=", ".join(scale))
    return [{"role": "system", "content": task}, {"role": "user", "content": question}]


def rating_in(reply: str, scale: Mapping[str, float]) -> str | None:
    """The last rating that a reply names, or the reply itself if it is one; None if there is none on the scale."""
    named = _RATING.findall(reply)
    found = (named[-1] if named else reply.strip().strip(".*")).lower()
    return found if found in scale else None


async def rate(
    questions: Questions, settings: ChatSettings, scale: Mapping[str, float], journal: Journal,
    finished: Mapping[str, str], progress: bool,
) -> list[str]:  # fmt: skip
    """Rate the questions that neither the journal nor ``finished`` has; ids of those that got no rating.

    Raises:
        EndpointError: the endpoint refuses or stays away; what is rated is in the journal.
    """
    refusals = Refusals(answered=bool(journal.done or finished))
    todo = [(name, text) for name, text in zip(questions.ids, questions.texts, strict=True)]
    todo = [(name, text) for name, text in todo if name not in journal.done and name not in finished]
    unrated: list[str] = []
    with tqdm(total=len(questions), initial=len(questions) - len(todo), disable=None if progress else True) as bar:
        async with Chat(settings) as chat:

            async def work(item: tuple[str, str]) -> None:
                name, text = item
                rating = await _rating_of(name, text, chat, scale, refusals)
                if rating is None:
                    unrated.append(name)
                else:
                    journal.add(name, rating)
                bar.update()

            await for_each(todo, work, settings.concurrency)
    refusals.settle()
    return unrated


class Refusals:
    """Requests that the endpoint refused. It is a matter of the one question if it answers others.

    Attributes:
        answered: whether it has answered any, in this run or an earlier one.
    """

    def __init__(self, answered: bool):
        self.answered = answered
        self._refused: list[RequestRefused] = []

    def add(self, name: str, error: RequestRefused) -> None:
        """Note that this question is refused. Raises the error if the first `FIRST` questions all were."""
        logger.warning("question %s gets no rating: %s", name, error)
        self._refused.append(error)
        if len(self._refused) >= FIRST:
            self.settle()

    def settle(self) -> None:
        """Raise a refusal if there were nothing but refusals."""
        if self._refused and not self.answered:
            raise self._refused[0]


async def _rating_of(name: str, text: str, chat: Chat, scale: Mapping[str, float], refusals: Refusals) -> str | None:
    """The rating of a question, or None where its replies hold none or the endpoint refuses it."""
    for _ in range(ASKS):
        try:
            reply = await chat.ask(conversation(without_instruction(text), scale))
        except RequestRefused as error:
            refusals.add(name, error)
            return None
        refusals.answered = True
        rating = rating_in(reply, scale)
        if rating is not None:
            return rating
    return None
