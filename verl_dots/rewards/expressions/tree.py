"""Trees of expressions, and the names that occur in them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

_FUNCTIONS = "sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth ln log lg exp"
FUNCTIONS = frozenset(_FUNCTIONS.split())
FUNCTION_LETTERS = frozenset({"f", "g", "zeta", "Gamma"})
LIST_FUNCTIONS = frozenset({"gcd", "lcm", "max", "min"})
# Operations that are written as calls, with a backslash where `text.code` found them.
CALLS = {name: name for name in ("abs", "power", "factorial", "floor", "ceil")} | {"comb": "binomial"}
ROUND = {"(": ")", "[": "]", "\\{": "\\}", "{": "}"}
_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho varrho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar prime"
)
GREEK = frozenset(_GREEK.split())


class ParseError(ValueError):
    """A text is no expression that the parser knows."""


@dataclass(frozen=True)
class Node:
    """A tree: `kind` names the operation; `value` is a number's value, a variable's or a function's name."""

    kind: str
    parts: tuple[Node, ...] = ()
    value: object = None


def renamed(node: Node, name: str, other: str) -> Node:
    """A tree whose variables of one name have another."""
    value = other if (node.kind, node.value) == ("variable", name) else node.value
    return Node(node.kind, tuple(renamed(part, name, other) for part in node.parts), value)


def number(value: Fraction) -> Node:
    """A number's tree."""
    return Node("number", value=value)
