"""The key of a row, and its tags: where it comes from, what it was sampled at, whether it only pads the batch."""

from collections.abc import Mapping, Sequence
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


def sampled_in(tag: Mapping[str, Any]) -> int:
    """The step whose weights sampled a row; of one that several versions sampled, that of the oldest.

    The weights of a step are those that the step before has left.
    """
    return int(tag["min_global_steps"]) + 1


def age_of(tag: Mapping[str, Any], step: int) -> int:
    """Steps that a row is older than `step`, whatever made it wait: replay, or an asynchronous trainer."""
    return step - sampled_in(tag)


def age_figures(tags: Sequence[Mapping[str, Any]], step: int) -> dict[str, float]:
    """Mean and greatest age of a step's rows, as metrics; of those that only pad the batch there is none."""
    ages = [age_of(tag, step) for tag in tags if not is_padding(tag)]
    return {"training/age/mean": sum(ages) / len(ages), "training/age/max": float(max(ages))} if ages else {}
