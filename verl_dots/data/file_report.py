"""What was found in a data file: kinds of problems, and the rows that have them."""

from bisect import insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

# What can be wrong with a row. A run cannot use one with an error; right responses to the unmatchable may score 0.
UNREADABLE, UNKNOWN_ROLE, NO_REWARD = "no question", "unknown role", "no reward"
WRONG_TYPE, REFUSED, TOO_LONG = "ground truth of a wrong type", "refused by the chat template", "too long"
UNREADABLE_ANSWER, FRAGILE_ANSWER, PROSE_ANSWER = "unreadable answer", "fragile answer", "prose answer"
UNUSABLE = "a cell that the run cannot use"  # by its settings, of which the data say nothing
REPEATED, CONFLICTING, SHARED = "repeated question", "conflicting answers", "also in the training data"
ERRORS = (UNREADABLE, UNKNOWN_ROLE, NO_REWARD, WRONG_TYPE, REFUSED, TOO_LONG, UNUSABLE)
UNMATCHABLE = (UNREADABLE_ANSWER, FRAGILE_ANSWER, PROSE_ANSWER)
WARNINGS = (REPEATED, CONFLICTING, SHARED)
KINDS = (*ERRORS, *UNMATCHABLE, *WARNINGS)
SHOWN = 5  # messages of each kind that are kept


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

    def numbers(self, kinds: Iterable[str]) -> set[int]:
        """Numbers of the rows with a problem of one of some kinds."""
        return {row for kind in kinds for row in self.problems.get(kind, ())}

    def count(self, kinds: Iterable[str]) -> int:
        """How many they are."""
        return len(self.numbers(kinds))
