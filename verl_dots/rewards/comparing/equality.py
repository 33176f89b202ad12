r"""Whether two answers are equal, by what they are. Tolerances: see `tolerance`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from verl_dots.rewards.answers.intervals import as_pieces
from verl_dots.rewards.answers.kinds import (
    Answer,
    Based,
    Clock,
    Collection,
    Congruence,
    Either,
    Named,
    Ratio,
    Relation,
    Value,
    Words,
)
from verl_dots.rewards.answers.pieces import line
from verl_dots.rewards.answers.relations import (
    as_relation,
    asks_for,
    is_calculation,
    is_false,
    one_of,
    proportional,
    residue,
)
from verl_dots.rewards.comparing.angles import in_radians
from verl_dots.rewards.comparing.collections import equal_collections, equal_pieces, matched
from verl_dots.rewards.comparing.tolerance import within_tolerance
from verl_dots.rewards.expressions import values
from verl_dots.rewards.expressions.tree import Node, number, renamed
from verl_dots.rewards.units.behind_numbers import conflicting, ratio

_REALS = Node("variable", value="R")  # as some write the set of all real numbers
_REVERSED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


@dataclass(frozen=True)
class Comparison:
    """How answers of one source are compared.

    Attributes:
        measured: whether its numbers are measurements, equal within 1e-4.
    """

    measured: bool = False

    def equal(self, gold: Answer, answer: Answer) -> bool:
        """Whether `answer` is right where `gold` is the ground truth."""
        if gold == answer:
            return gold != Words("")
        if isinstance(gold, Either) or isinstance(answer, Either):
            halves = [_halves_of_days(one) for one in (gold, answer)]
            lefts, rights = halves if all(halves) else (_meant(gold), _readings(answer))
            return any(self.equal(left, right) for left in lefts for right in rights)
        if isinstance(gold, Congruence) or isinstance(answer, Congruence):
            return self._congruent(gold, answer)
        if isinstance(gold, Named) or isinstance(answer, Named):
            return self._named(gold, answer)
        if isinstance(gold, Relation) or isinstance(answer, Relation):
            return self._relations(gold, answer)
        if isinstance(gold, Collection) or isinstance(answer, Collection):
            return equal_collections(gold, answer, self.equal)
        if isinstance(gold, Ratio) or isinstance(answer, Ratio):
            return self._ratios(gold, answer)
        if isinstance(gold, Value) and isinstance(answer, Value):
            return self._values(gold, answer)
        return _plain(gold, answer)

    def _congruent(self, gold: Answer, answer: Answer) -> bool:
        """Whether two are congruent by the same modulus; an answer without one is compared as it is written."""
        if not isinstance(answer, Congruence):
            return self.equal(gold.answer, answer)
        if not isinstance(gold, Congruence):
            return False
        return self.equal(gold.modulus, answer.modulus) and self.equal(
            residue(gold.answer, gold.modulus), residue(answer.answer, answer.modulus)
        )

    def _named(self, gold: Answer, answer: Answer) -> bool:
        if isinstance(gold, Named) and isinstance(answer, Named):
            if gold.name == answer.name or one_of(gold.name, answer.name):
                return self.equal(gold.answer, answer.answer)
            return self._relations(as_relation(gold), as_relation(answer))
        if isinstance(gold, Named):
            if isinstance(answer, Relation) and "=" in answer.signs:
                return self._relations(as_relation(gold), answer)
            return self.equal(gold.answer, answer)
        if isinstance(gold, Relation) and "=" in gold.signs:
            return self._relations(gold, as_relation(answer))
        return self.equal(gold, answer.answer)

    def _relations(self, gold: Answer | None, answer: Answer | None) -> bool:
        if gold is None or answer is None:
            return False
        if not (isinstance(gold, Relation) and isinstance(answer, Relation)):
            if isinstance(answer, Relation) and set(answer.signs) == {"="} and isinstance(gold, Value):
                known = (is_calculation(answer) and not is_false(answer)) or asks_for(answer.sides)
                return known and not values.variables(gold.node) and self.equal(gold, answer.sides[-1])
            if isinstance(gold, Relation) and set(gold.signs) == {"="} and isinstance(answer, Value):
                return is_calculation(gold) and self.equal(gold.sides[-1], answer)
            return equal_pieces(gold, answer, self.equal)
        return equal_pieces(gold, answer, self.equal) or self._same_relation(gold, answer)

    def _same_relation(self, gold: Relation, answer: Relation) -> bool:
        if len(gold.signs) != len(answer.signs):
            return False
        if set(gold.signs) | set(answer.signs) <= {"="} and len(gold.signs) > 1:
            return matched(gold.sides, answer.sides, self.equal)
        flipped = Relation(answer.sides[::-1], tuple(_REVERSED.get(sign, "") for sign in answer.signs[::-1]))
        for other in (answer, flipped):
            if gold.signs == other.signs and all(map(self.equal, gold.sides, other.sides)):
                return True
        if len(gold.signs) > 1:
            return False
        return any(
            gold.signs == other.signs and proportional(gold, other, positive=gold.signs[0] not in ("=", "!="))
            for other in (answer, flipped)
        )

    def _ratios(self, gold: Answer, answer: Answer) -> bool:
        left, right = _ratio_parts(gold), _ratio_parts(answer)
        if left is None or right is None or len(left) != len(right):
            return False
        first = Node("divide", (left[0].node, right[0].node))
        return all(
            self._values(Value(Node("multiply", (first, two.node))), Value(one.node))
            for one, two in zip(left, right, strict=True)
        )

    def _values(self, gold: Value, answer: Value) -> bool:
        turned = in_radians(gold, answer)
        if turned is not None and self._values(gold, turned):
            return True
        if conflicting(gold.unit, answer.unit):
            times = ratio(gold.unit, answer.unit)
            return times is not None and self._values(gold, _scaled(answer, times, gold.unit))
        if gold.node.kind == answer.node.kind == "variable" and "_" not in gold.node.value:
            return gold.node.value.lower() == answer.node.value.lower()
        pairs = values.pairs(gold.node, _with_constant(gold.node, answer.node))
        if pairs is None:
            return False
        if all(values.close(left, right) for left, right in pairs):
            return len(pairs) > 1 or values.same_constant(gold.node, answer.node)
        return len(pairs) == 1 and within_tolerance(gold, answer, *pairs[0], self.measured)


def _scaled(value: Value, times: Fraction, unit: str) -> Value:
    """A value in another unit, which it is so many times of."""
    if value.node.kind == "number":
        return replace(value, node=number(value.node.value * times), unit=unit)
    return replace(value, node=Node("multiply", (value.node, number(times))), unit=unit)


def _with_constant(gold: Node, answer: Node) -> Node:
    """An answer with its constant of integration c as C, where the ground truth has that and not c."""
    own, other = values.variables(gold), values.variables(answer)
    return renamed(answer, "c", "C") if (own - other, other - own) == ({"C"}, {"c"}) else answer


def _halves_of_days(answer: Answer) -> tuple[Answer, ...]:
    """The times of day that say which half of it they are of: 6 PM and 6 AM are not 6 both."""
    return tuple(one for one in _readings(answer) if isinstance(one, Clock) and one.half)


def _readings(answer: Answer) -> tuple[Answer, ...]:
    return answer.readings if isinstance(answer, Either) else (answer,)


def _meant(gold: Answer) -> tuple[Answer, ...]:
    """A ground truth's readings: 9:30 is a time of day alone, for a ratio would be 19:60 or 3:10, in lowest terms.

    3-5 is a range, for a difference would be written as -2.
    """
    readings = _readings(gold)
    ranges = tuple(reading for reading in readings if isinstance(reading, Words) and reading.is_range)
    if ranges:
        return ranges
    if any(isinstance(reading, Clock) for reading in readings):
        return tuple(reading for reading in readings if not (isinstance(reading, Ratio) and _reducible(reading)))
    return readings


def _reducible(ratio: Ratio) -> bool:
    numbers = [part.node.value for part in ratio.parts if isinstance(part, Value) and part.node.kind == "number"]
    whole = len(numbers) == len(ratio.parts) and all(number.denominator == 1 for number in numbers)
    return whole and math.gcd(*map(int, numbers)) > 1


def _plain(gold: Answer, answer: Answer) -> bool:
    if isinstance(answer, Value) and answer.node == _REALS:
        return isinstance(gold, Words) and as_pieces(gold) == line()
    if isinstance(gold, Based) and isinstance(answer, Based):
        return gold == answer
    if isinstance(gold, Based) or isinstance(answer, Based):
        return _equals_based(gold, answer)
    if isinstance(gold, Clock) and isinstance(answer, Clock):
        return _minutes(gold, answer) == _minutes(answer, gold)
    if isinstance(gold, Words) and isinstance(answer, Words):
        return gold.text == answer.text != "" or as_pieces(gold) == as_pieces(answer) is not None
    return False


def _equals_based(gold: Answer, answer: Answer) -> bool:
    """A plain ground truth equals a number with a base by value; one with a base asks for its digits."""
    plain = answer if isinstance(gold, Based) else gold
    if not isinstance(plain, Value) or plain.unit or plain.node.kind != "number":
        return False
    value = plain.node.value
    return str(value) == gold.digits if isinstance(gold, Based) else value == answer.value


def _minutes(clock: Clock, other: Clock) -> tuple[int, int, int]:
    """A time of the day; where one of two leaves its half open, both are taken as written."""
    hour = clock.hour
    if clock.half and (other.half or not 0 < other.hour <= 12):
        hour = hour % 12 + (12 if clock.half == "p" else 0)
    return hour, clock.minute, clock.second


def _ratio_parts(answer: Answer) -> tuple[Value, ...] | None:
    if isinstance(answer, Ratio):
        return answer.parts
    return (answer, Value(number(Fraction(1)))) if isinstance(answer, Value) else None
