"""Values of a saved state, read by name: each must be what a run can have saved, or the state is refused.

The checksum of a file tells that it holds what was written, not that this makes sense. A refused state ends the start
of the run that reads it.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verl_dots.settings import LARGEST
from verl_dots.state import StateError, require_equal, require_keys

WRONG = (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError)
KINDS = {"i": "whole numbers", "f": "numbers", "b": "truth values", "u": "bytes"}


@dataclass(frozen=True)
class Within:
    """Finite numbers of a range.

    Attributes:
        least, most: of the range.
        inner: whether the least itself is outside of it.
        nan: whether NaN, for what is not known, is allowed too.
    """

    least: float = -math.inf
    most: float = math.inf
    inner: bool = False
    nan: bool = False

    def __str__(self) -> str:
        bounds = [f"{'above' if self.inner else 'at least'} {self.least:g}"] if self.least > -math.inf else []
        bounds += [f"at most {self.most:g}"] if self.most < math.inf else []
        return " and ".join(["finite", *bounds]) + (", or NaN" if self.nan else "")

    def holds(self, values: np.ndarray) -> bool:
        """Whether all of them are in it."""
        inside = np.isfinite(values) & (values <= self.most)
        inside &= values > self.least if self.inner else values >= self.least
        return bool((inside | np.isnan(values) if self.nan else inside).all())


ANY, COUNT, POSITIVE = Within(), Within(0), Within(0, inner=True)


class Values:
    """The values of one dict of a state.

    Args:
        what: it is a state of, for messages.
        state: as it was read.
        keys: that it must have, and no others.

    Raises:
        StateError: it is no dict with these keys. All methods raise it for a value that is none of theirs.
    """

    def __init__(self, what: str, state: Any, keys: set[str]):
        require_keys(what, state, keys)
        self.what, self._state = what, state

    def given(self, name: str) -> bool:
        """Whether a value is not None."""
        return self._state[name] is not None

    def raw(self, name: str) -> Any:
        """A value that another reader checks."""
        return self._state[name]

    def same(self, name: str, what: str, here: Any) -> None:
        """It must be what this run has."""
        require_equal(what, self._state[name], here)

    def flag(self, name: str) -> bool:
        """True or False."""
        return self._of(name, bool, "True or False")

    def text(self, name: str) -> str:
        """A text."""
        return self._of(name, str, "a text")

    def whole(self, name: str, within: Within = COUNT) -> int:
        """A whole number."""
        return self._whole(name, self._state[name], within)

    def number(self, name: str, within: Within = ANY) -> float:
        """A number; a whole one is a float, too."""
        return self._number(name, self._state[name], within)

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        found = self._of(name, list, "a list of texts")
        if not all(isinstance(value, str) for value in found):
            raise self.wrong(name, "a list of texts")
        return list(found)

    def wholes(self, name: str, within: Within = COUNT) -> list[int]:
        """A list of whole numbers."""
        return [self._whole(name, value, within) for value in self._of(name, list, "a list of whole numbers")]

    def numbers(self, name: str, within: Within = ANY) -> list[float]:
        """A list of numbers."""
        return [self._number(name, value, within) for value in self._of(name, list, "a list of numbers")]

    def array(self, name: str, kind: Any, shape: tuple[int | None, ...], within: Within = ANY) -> np.ndarray:
        """A copy of an array.

        Args:
            kind: its type; another width of the same kind is brought to it, if that holds the values.
            shape: None for any length.
        """
        return self._array(name, self._state[name], np.dtype(kind), shape, within)

    def arrays(self, name: str, kind: Any, shape: tuple[int | None, ...], within: Within = ANY) -> list[np.ndarray]:
        """A list of such arrays."""
        found = self._of(name, list, "a list of arrays")
        return [self._array(name, value, np.dtype(kind), shape, within) for value in found]

    def generator(self, name: str, rng: np.random.Generator) -> dict[str, Any]:
        """The state of a generator of the kind of `rng`, which stays as it is."""
        given, tried = self._state[name], type(rng.bit_generator)()
        try:
            tried.state = given
            same = tried.state == given and given.get("has_uint32", 0) in (0, 1)
        except WRONG as error:
            raise self.wrong(name, f"the state of a {type(tried).__name__} generator") from error
        if not same:
            raise self.wrong(name, f"the state of a {type(tried).__name__} generator")
        return tried.state

    def wrong(self, name: str, rule: str, value: Any = ...) -> StateError:
        """The refusal of a value; the rule reads "must be ..."."""
        value = self._state[name] if value is ... else value
        shown = f"an array of {value.dtype} {value.shape}" if isinstance(value, np.ndarray) else f"{value!r:.60}"
        text = f"{self.what}: the checkpoint has {name}={shown}; it must be {rule}. Resume from an earlier checkpoint"
        return StateError(text, key=name, reason="damaged")

    def _of(self, name: str, kind: type, rule: str) -> Any:
        if type(self._state[name]) is not kind:
            raise self.wrong(name, rule)
        return self._state[name]

    def _whole(self, name: str, value: Any, within: Within) -> int:
        if type(value) is not int or abs(value) > LARGEST or not within.holds(np.array(value)):
            raise self.wrong(name, f"a whole number, {within}", value)
        return value

    def _number(self, name: str, value: Any, within: Within) -> float:
        if type(value) not in (int, float) or abs(value) > LARGEST and type(value) is int:
            raise self.wrong(name, f"a number, {within}", value)
        if not within.holds(np.array(value, dtype=np.float64)):
            raise self.wrong(name, f"a number, {within}", value)
        return value

    def _array(
        self, name: str, value: Any, kind: np.dtype, shape: tuple[int | None, ...], within: Within
    ) -> np.ndarray:
        fits = isinstance(value, np.ndarray) and value.dtype.kind == kind.kind and len(value.shape) == len(shape)
        if not fits or any(length not in (None, there) for length, there in zip(shape, value.shape, strict=True)):
            told = ", ".join("any" if length is None else str(length) for length in shape)
            raise self.wrong(name, f"an array of {KINDS[kind.kind]} of shape ({told})", value)
        with np.errstate(over="ignore"):
            found = value.astype(kind)
        if kind.kind in "iu" and not np.array_equal(found, value):
            raise self.wrong(name, f"an array of {KINDS[kind.kind]} that {kind} holds", value)
        if not within.holds(found):
            raise self.wrong(name, f"an array of numbers, {within}", value)
        return found


@contextmanager
def restoring(file: Path, who: str) -> Iterator[None]:
    """Whatever is wrong with a state that is taken over is a StateError that names its file.

    Args:
        file: that the state was read from.
        who: takes it over.
    """
    try:
        yield
    except StateError as error:
        text = str(error) if str(file) in str(error) else f"state file {file}: {error}"
        raise StateError(text, key=error.key, reason=error.reason) from error
    except WRONG as error:
        text = f"state file {file} does not hold what {who} remembers ({error!r}); resume from another checkpoint"
        raise StateError(text, key=str(file), reason="other run") from error
