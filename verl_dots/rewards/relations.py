"""What a relation says: whether it is a calculation, gives the value of letters, or is a multiple of another."""

from __future__ import annotations

from collections.abc import Sequence

from verl_dots.rewards import expression_values as values
from verl_dots.rewards.answers import Answer, Named, Relation, Value
from verl_dots.rewards.expression_tree import Node


def as_relation(named: Answer) -> Relation | None:
    """`y = 2x` as an equation of two sides; None where the name is no letter."""
    if isinstance(named, Relation):
        return named
    if not isinstance(named, Named) or len(named.name) != 1 or not isinstance(named.answer, Value):
        return None
    return Relation((Value(Node("variable", value=named.name)), named.answer), ("=",))


def is_calculation(relation: Relation) -> bool:
    """Whether all sides are numbers, as in 2 + 2 = 4."""
    return all(isinstance(side, Value) and not values.variables(side.node) for side in relation.sides)


def asks_for(sides: Sequence[Answer]) -> bool:
    """Whether a chain gives the value of a combination of letters, as in m + n = 7 + 11 = 18; 2x = 18 does not."""
    first, *rest = sides
    return _only_letters(first) and all(isinstance(side, Value) and not values.variables(side.node) for side in rest)


def _only_letters(side: Answer | Node) -> bool:
    if isinstance(side, Value):
        return _only_letters(side.node)
    return isinstance(side, Node) and side.kind not in ("number", "constant") and all(map(_only_letters, side.parts))


def proportional(gold: Relation, answer: Relation, positive: bool) -> bool:
    """Whether left minus right of one relation is that of the other times a constant (above 0)."""
    nodes = []
    for relation in (gold, answer):
        if not all(isinstance(side, Value) for side in relation.sides):
            return False
        left, right = relation.sides
        nodes.append(Node("add", (left.node, Node("negative", (right.node,)))))
    if values.variables(nodes[0]) != values.variables(nodes[1]) or not values.variables(nodes[0]):
        return False
    pairs = values.pairs(*nodes)
    if pairs is None or any(right == 0 for _, right in pairs):
        return False
    found = [values.quotient(left, right) for left, right in pairs]
    if not all(values.close(found[0], other) for other in found[1:]) or found[0] == 0:
        return False
    return not positive or bool(getattr(found[0], "real", found[0]) > 0)
