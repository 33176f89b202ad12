"""The key of a row, and its tags: where it comes from, what it was sampled at, whether it only pads the batch."""

from collections.abc import Mapping
from typing import Any

from verl_dots.step import Origin

ORIGIN = "origin"  # of its group; none: fresh
TEMPERATURE = "temperature"  # that a stored row was sampled at


def place_of(key: str) -> tuple[str, int, int]:
    """(uid, session, output) of a trajectory's key `uid_session_output`."""
    uid, session, output = key.rsplit("_", 2)
    return uid, int(session), int(output)


def origin_of(tag: Mapping[str, Any]) -> Origin:
    """Where the row with this tag comes from."""
    return Origin(tag.get(ORIGIN, Origin.FRESH.value))


def is_padding(tag: Mapping[str, Any]) -> bool:
    """Whether the row is there only to make the number of rows divide."""
    return bool(tag.get("is_padding"))
