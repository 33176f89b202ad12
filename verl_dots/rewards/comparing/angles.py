"""Angles in degrees where the ground truth is in radians: 90 degrees are pi/2, which has no unit of its own."""

from __future__ import annotations

from dataclasses import replace

from verl_dots.rewards.answers.kinds import Value
from verl_dots.rewards.expressions.tree import Node
from verl_dots.rewards.expressions.values import variables

_DEGREE = r"\degree"


def in_radians(gold: Value, answer: Value) -> Value | None:
    """An answer in degrees in radians, where the ground truth is a constant with pi or an arc function; else None.

    A ground truth in degrees asks for degrees.
    """
    if answer.unit != _DEGREE or gold.unit or variables(gold.node) or not _of_radians(gold.node):
        return None
    return replace(answer, node=Node("degree", (answer.node,)), unit="")


def _of_radians(node: Node) -> bool:
    arc = node.kind == "function" and str(node.value).startswith("arc")
    return arc or (node.kind, node.value) == ("constant", "pi") or any(map(_of_radians, node.parts))
