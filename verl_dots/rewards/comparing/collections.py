"""Whether two collections are equal, by their kinds, given when two members are; sets of numbers however written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from verl_dots.rewards.answers.intervals import as_pieces
from verl_dots.rewards.answers.kinds import Answer, Collection, Named
from verl_dots.rewards.answers.pieces import names
from verl_dots.rewards.comparing.members import equal_by_name

Equal = Callable[[Answer, Answer], bool]


def equal_pieces(gold: Answer, answer: Answer, equal: Equal) -> bool:
    """Whether two answers are the same union of intervals."""
    left, right = as_pieces(gold, meant=True), as_pieces(answer)
    if left is None or right is None or len(names([*left, *right])) > 1:
        return False
    return matched(
        left, right, lambda one, two: one.open == two.open and equal(one.low, two.low) and equal(one.high, two.high)
    )


def equal_collections(gold: Answer, answer: Answer, equal: Equal) -> bool:
    """Whether two answers are equal, of which one is a collection at least."""
    pieces = as_pieces(gold, meant=True) is not None and as_pieces(answer) is not None
    if not (isinstance(gold, Collection) and isinstance(answer, Collection)):
        if pieces:
            return equal_pieces(gold, answer, equal)
        return _single_in(gold, answer, equal) if isinstance(gold, Collection) else _single_in(answer, gold, equal)
    if (named := equal_by_name(gold, answer, equal)) is not None:
        return named
    kinds = {gold.kind, answer.kind}
    if kinds & {"union", "difference"}:
        alike = gold.kind == answer.kind and _in_order(gold.members, answer.members, equal)
        return equal_pieces(gold, answer, equal) or (alike and gold.kind == "difference")
    if kinds == {"list"} and as_pieces(gold, meant=True) is not None:
        alike = (gold.brackets == "or") == (answer.brackets == "or")
        return equal_pieces(gold, answer, equal) or (alike and matched(gold.members, answer.members, equal))
    if kinds == {"list", "tuple"} and pieces:
        return equal_pieces(gold, answer, equal)
    if "matrix" in kinds and kinds != {"matrix"}:
        return False
    if kinds in ({"tuple"}, {"matrix"}):
        return gold.brackets == answer.brackets and _in_order(gold.members, answer.members, equal)
    if "tuple" in kinds:
        return _equal_tuple(gold, answer, equal)
    if kinds == {"set"}:
        return _within(gold.members, answer.members, equal) and _within(
            answer.members, gold.members, lambda one, two: equal(two, one)
        )
    return matched(gold.members, answer.members, equal)


def matched(left: Sequence, right: Sequence, equal: Callable) -> bool:
    """Whether the members of two sequences can be paired, in any order, each with an equal one."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for member in left:
        found = rest.index(member) if member in rest else None
        if found is None:
            found = next((index for index, other in enumerate(rest) if equal(member, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _single_in(collection: Collection, single: Answer, equal: Equal) -> bool:
    """A collection of one equals it, and so does a list of nothing but other ways to write it."""
    if collection.kind == "matrix":
        return False
    alternatives = collection.kind == "list" and collection.brackets == "or"
    if len(collection.members) != 1 and not alternatives:
        return False
    return all(equal(member, single) for member in collection.members)


def _equal_tuple(gold: Collection, answer: Collection, equal: Equal) -> bool:
    """Compare a tuple with a list without brackets, or with a set of one tuple.

    A set of several is no tuple, nor is a list of values that one name may have.
    """
    other = gold if gold.kind != "tuple" else answer
    if other.kind == "set":
        return _single_in(other, gold if other is answer else answer, equal)
    if "()" not in (gold.brackets, answer.brackets) or _alternatives(other):
        return False
    return _in_order(gold.members, answer.members, equal) or (
        gold is other and matched(gold.members, answer.members, equal)
    )


def _alternatives(answer: Collection) -> bool:
    """Whether a list is of values for one thing: "or" is between them, or they have one name."""
    named = {member.name for member in answer.members if isinstance(member, Named)}
    return answer.brackets == "or" or (len(named) == 1 and all(isinstance(one, Named) for one in answer.members))


def _in_order(gold: Sequence[Answer], answer: Sequence[Answer], equal: Equal) -> bool:
    return len(gold) == len(answer) and all(map(equal, gold, answer))


def _within(members: Sequence[Answer], others: Sequence[Answer], equal: Equal) -> bool:
    """Whether each member is one of the others; those that are the same are not compared."""
    known = set(others)
    return all(any(equal(member, other) for other in known) for member in dict.fromkeys(members) if member not in known)
