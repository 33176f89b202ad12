"""What rewards have returned beside the score in a validation, as verl can make figures of it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from verl_dots.rewards.limits import number_of

logger = logging.getLogger(__name__)


def countable(sources: Sequence[str], beside: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Values of which verl can take means: numbers, and text, which it leaves out or counts as votes (`pred`).

    A name whose values in one data source are neither all numbers nor all text is left out there, and told: verl's
    mean of lists, or of a number and a text, ends the validation.

    Args:
        sources: [N] data source of each rollout.
        beside: name -> [N] values, None where the reward has returned none.

    Returns:
        The same names, with numbers as floats and None for what is left out.
    """
    places: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        places.setdefault(source, []).append(place)
    found: dict[str, list[Any]] = {name: [None] * len(sources) for name in beside}
    left_out = set()
    for name, value_N in beside.items():
        for of_source in places.values():
            there = [place for place in of_source if value_N[place] is not None]
            texts = [value_N[place] for place in there if isinstance(value_N[place], str)]
            values = texts if len(texts) == len(there) else [number_of(value_N[place]) for place in there]
            if None in values:
                left_out.add(name)
                continue
            for place, value in zip(there, values, strict=True):
                found[name][place] = value
    if left_out:
        logger.warning(
            "the reward function returned %s beside the score, whose values are neither all numbers nor all text; the "
            "validation has no figures of them",
            ", ".join(sorted(left_out)),
        )
    return found
