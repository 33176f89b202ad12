"""Names and units that tell which member of a collection is which: x = 1, y = 2 is (1, 2), and not (2, 1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from verl_dots.rewards.answers.kinds import Answer, Collection, Named, Value
from verl_dots.rewards.units.sizes import size

_UNIT = "unit "
_LETTER = re.compile("[A-Za-z]")
_NUMBERED = re.compile(r"([A-Za-z])_?(\d+)")


def equal_by_name(gold: Collection, answer: Collection, equal: Callable[[Answer, Answer], bool]) -> bool | None:
    """Whether two collections are equal, where the names or the units of their members tell; None where they do not.

    Members of the same names are compared in pairs. Without names on one side, the others' order is the alphabet's of
    letters side by side, such as x and y, else the one in which they are written.
    """
    if not {gold.kind, answer.kind} <= {"list", "set", "tuple"}:
        return None
    left, right = _names(gold.members), _names(answer.members)
    if "or" in (gold.brackets, answer.brackets):  # x = 1 or y = 2 is no point
        return None if gold.brackets == answer.brackets or not (left and right) else False
    if left and right:
        if set(left) != set(right):
            return None
        return all(
            equal(gold.members[left.index(name)], member) for name, member in zip(right, answer.members, strict=True)
        )
    names = left or right
    named, other = (gold, answer) if left else (answer, gold)
    if names is None or names[0].startswith(_UNIT) or any(isinstance(member, Named) for member in other.members):
        return None
    if other.kind != "tuple" and (other is gold or all(map(_NUMBERED.fullmatch, names))):
        return None  # a list without an order, or of roots x_1 and x_2
    orders = (
        [sorted(range(len(names)), key=names.__getitem__)]
        if (named is answer or named.kind != "tuple") and _neighbours(names)
        else []
    )
    if not orders or other.kind == "list":
        orders.append(list(range(len(names))))
    return any(
        _in_order([named.members[at] for at in order], other.members, equal, left is not None) for order in orders
    )


def _names(members: Sequence[Answer]) -> list[str] | None:
    """The members' names, or units, where all have one and no two the same."""
    names = [_name(member) for member in members]
    return names if len(names) > 1 and all(names) and len(set(names)) == len(names) else None


def _name(member: Answer) -> str:
    if isinstance(member, Named):
        return member.name
    if isinstance(member, Value) and member.unit and size(member.unit) is None:
        return _UNIT + re.sub(r"\\text|[\s{}]|s\b", "", member.unit)
    return ""


def _neighbours(names: Sequence[str]) -> bool:
    """Whether names are letters side by side in the alphabet, or one letter with numbers."""
    if all(map(_LETTER.fullmatch, names)):
        places = sorted(map(ord, names))
        return places == list(range(places[0], places[0] + len(places)))
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    return all(numbered) and len({match[1] for match in numbered}) == 1


def _in_order(named: Sequence[Answer], others: Sequence[Answer], equal: Callable, gold_first: bool) -> bool:
    pairs = zip(named, others, strict=False) if gold_first else zip(others, named, strict=False)
    return len(named) == len(others) and all(equal(one, other) for one, other in pairs)
