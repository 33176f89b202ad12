"""States with one wrong value each, and what becomes of them."""

import copy
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from verl_dots.state import StateError, load_state, save_state

WRONG = {
    "none": None, "text": "x", "no dict": {}, "no list": [], "NaN": math.nan, "infinite": math.inf, "negative": -1,
    "huge": 10**400, "empty": np.zeros(0), "shape": np.zeros((2, 3)),
}  # fmt: skip


def wrong_values(value: Any) -> Iterator[tuple[str, Any]]:
    """Others in place of a value, by name."""
    yield from WRONG.items()
    if not isinstance(value, np.ndarray) or not value.size:
        return
    yield from (("shorter", value[:-1]), ("deeper", value[None]))
    if value.dtype.kind in "if":
        yield "all negative", np.full_like(value, -1)
    if value.dtype.kind == "f":
        yield "all NaN", np.full_like(value, math.nan)


def entries(state: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All values of a state and of the dicts in it, by their place."""
    for name, value in state.items():
        yield (*path, name), value
        if isinstance(value, dict):
            yield from entries(value, (*path, name))


def same(one: Any, other: Any) -> bool:
    """Whether two values of states are the same, NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one == other or (one != one and other != other)


def accepted(stage: Any, folder: Path) -> set[str]:
    """Names "place: wrong value" of the states that a stage takes over, of all with one wrong value.

    The state is its own, by way of a file. Each of the others must be a StateError that names the value, or what the
    run has otherwise.
    """
    save_state(folder / "state", "test", stage.state_dict())
    whole = load_state(folder / "state", "test")
    stage.load_state_dict(copy.deepcopy(whole))
    assert same(load_and_save(stage, folder), whole)
    found = set()
    for path, value in entries(whole):
        for name, wrong in wrong_values(value):
            if same(value, wrong):
                continue
            state = copy.deepcopy(whole)
            place = state
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = wrong
            try:
                stage.load_state_dict(state)
            except StateError as error:
                # Of columns that do not fit each other, any.
                assert error.reason == "other run" or error.key in (*path, *place), (path, name, error)
                assert error.key in str(error)
            else:
                found.add(f"{'.'.join(path)}: {name}")
                assert same(load_and_save(stage, folder), state), (path, name)  # it is what it has become
    stage.load_state_dict(whole)
    return found


def load_and_save(stage: Any, folder: Path) -> dict[str, Any]:
    """The state of a stage, as a file would give it back."""
    save_state(folder / "state", "test", stage.state_dict())
    return load_state(folder / "state", "test")
