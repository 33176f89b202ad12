"""Which timing runs of a round followed each other closely enough to be compared. Pure functions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

# From the end of one run to the start of the next: a large model takes some minutes to load. Hours later the same
# machine may be a slower one, by what else runs on its host.
MOST_IDLE_SECONDS = 900.0
Span = tuple[float, float]  # start and end of a run, in seconds since 1970
Name = TypeVar("Name", bound=Hashable)


def span(started: str, finished: str) -> Span | None:
    """Start and end of a run, of its times in ISO 8601, UTC where they name no zone; None where it does not tell."""
    try:
        began, ended = map(datetime.fromisoformat, (started, finished))
    except ValueError:  # also of an empty text
        return None
    return tuple((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() for time in (began, ended))


def sittings(spans: Mapping[Name, Span]) -> list[set[Name]]:
    """The names by sitting, the first first: runs between which at most `MOST_IDLE_SECONDS` pass without any."""
    found: list[set[Name]] = []
    last = float("-inf")
    for name in sorted(spans, key=lambda one: spans[one]):
        began, ended = spans[name]
        if began - last > MOST_IDLE_SECONDS:
            found.append(set())
        found[-1].add(name)
        last = max(last, ended)
    return found
