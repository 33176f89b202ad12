r"""LaTeX expressions as trees: a small parser for what answers consist of, numbers, letters, roots, functions.

A letter is a variable (`3g` is 3 times g) and decimals are exact (0.1 is one tenth). A whole number before a fraction
makes a mixed number. `values` computes what a tree is worth. What is not understood raises `ParseError`:
sums, integrals, dots, words.
"""

from __future__ import annotations

from fractions import Fraction

from verl_dots.rewards.expressions import tree
from verl_dots.rewards.expressions.tokens import Tokens
from verl_dots.rewards.expressions.tree import Node, ParseError, number

_MOST_DEPTH = 60
_STARTS = {"pi", "infty", "lvert", "lfloor", "lceil", "frac", "sqrt", "binom"}.union(
    tree.FUNCTIONS, tree.LIST_FUNCTIONS, tree.GREEK, tree.CALLS
)


def parse_expression(text: str, tight: bool = False) -> Node:
    """Read a whole text as one expression.

    Args:
        tight: whether letters side by side behind a slash are divided by together: t/RC as t over RC, not t/R times C.

    Raises:
        ParseError: it is none.
    """
    parser = _Parser(text, tight)
    node = parser.sum()
    if parser.peek() is not None:
        raise ParseError(f"{parser.peek()!r} is left over")
    return node


class _Parser(Tokens):
    def __init__(self, text: str, tight: bool):
        super().__init__(text)
        self._tight = tight
        self._depth = self._bars = 0

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise ParseError("it is nested too deeply")
        node = self.product()
        while self.peek() in ("+", "-"):
            self.count_link()
            sign = self.take()
            right = self.product()
            node = Node("add", (node, right if sign == "+" else Node("negative", (right,))))
        self._depth -= 1
        return node

    def product(self) -> Node:
        node = self.signed()
        while (token := self.peek()) is not None:
            self.count_link()
            if token in ("*", "\\cdot", "\\times", "\\ast"):
                self.take()
                node = Node("multiply", (node, self.signed()))
            elif token in ("/", "\\div"):
                self.take()
                node = Node("divide", (node, self.divisor()))
            elif self._starts_value(token):
                node = Node("multiply", (node, self.power()))
            else:
                break
        return node

    def divisor(self) -> Node:
        together = self._tight and (self.peek() or "").lstrip("\\").isalpha()
        node = self.signed()
        while (
            together
            and (token := self.peek()) is not None
            and token.lstrip("\\").isalpha()
            and self._starts_value(token)
        ):
            node = Node("multiply", (node, self.power()))
        return node

    def signed(self) -> Node:
        if self.peek() in ("+", "-"):
            sign = self.take()
            self._depth += 1
            if self._depth > _MOST_DEPTH:
                raise ParseError("it has too many signs")
            node = self.signed()
            self._depth -= 1
            return node if sign == "+" else Node("negative", (node,))
        return self.power()

    def power(self) -> Node:
        node = self.postfix(self.value())
        if self.peek() == "^":
            self.take()
            node = self.postfix(Node("power", (node, self.argument())))
        return node

    def postfix(self, node: Node) -> Node:
        while (token := self.peek()) in ("!", "\\degree", "\\percent"):
            self.take()
            if token == "!":
                double = self.peek() == "!"
                if double:
                    self.take()
                node = Node("double factorial" if double else "factorial", (node,))
            elif token == "\\degree":
                node = Node("degree", (node,))
            else:
                node = Node("divide", (node, number(Fraction(100))))
        return node

    def argument(self) -> Node:
        """What a power or a root is of: a group, or one signed value."""
        if self.peek() == "{":
            return self.group("{")
        if self.peek() in ("+", "-"):
            return self.signed()
        if self.peek() == "\\frac":
            return self.fraction()
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return number(Fraction(token))
        if token == "(":
            self.back()
            return self.group("(")
        return self.letter(token)

    def group(self, opening: str) -> Node:
        node, *others = self.members(opening)
        if others:
            raise ParseError("a list stands where a value should")
        return node

    def members(self, opening: str) -> tuple[Node, ...]:
        self.take(opening)
        bars, self._bars = self._bars, 0
        nodes = [self.sum()]
        while self.peek() == ",":
            self.take()
            nodes.append(self.sum())
        self._bars = bars
        self.take(tree.ROUND[opening])
        return tuple(nodes)

    def value(self) -> Node:
        token = self.peek()
        if token is None:
            raise ParseError("a value is missing")
        if token[0].isdigit() or token[0] == ".":
            return self.plain_number()
        if token in tree.ROUND:
            return self.group(token)
        if token in ("|", "\\lvert"):
            return self.absolute()
        self.take()
        command = token[1:]
        if token in ("\\lfloor", "\\lceil"):
            node = self.sum()
            self.take("\\rfloor" if token == "\\lfloor" else "\\rceil")
            return Node(token[2:], (node,))
        if token in ("\\frac", "\\sqrt", "\\binom"):
            self.back()
            return {"\\frac": self.fraction, "\\sqrt": self.root, "\\binom": self.binomial}[token]()
        if token.startswith("\\") and command in tree.FUNCTIONS:
            return self.function(command)
        if command in tree.CALLS and self.peek() in ("(", "{"):
            return Node(tree.CALLS[command], self.members(self.peek()))
        if command in tree.LIST_FUNCTIONS and self.peek() in ("(", "\\{"):
            return Node(command, self.members(self.peek()))
        return self.letter(token)

    def plain_number(self) -> Node:
        token = self.take()
        node = number(Fraction(token))
        part = self.proper_fraction() if token.isdigit() else None
        return node if part is None else Node("add", (node, number(part)))

    def absolute(self) -> Node:
        closing = "|" if self.take() == "|" else "\\rvert"
        self._bars += 1
        node = self.sum()
        self._bars -= 1
        self.take(closing)
        return Node("abs", (node,))

    def fraction(self) -> Node:
        self.take("\\frac")
        return Node("divide", (self.argument(), self.argument()))

    def root(self) -> Node:
        self.take("\\sqrt")
        degree = self.group("[") if self.peek() == "[" else number(Fraction(2))
        return Node("root", (self.argument(), degree))

    def binomial(self) -> Node:
        self.take("\\binom")
        return Node("binomial", (self.argument(), self.argument()))

    def function(self, name: str) -> Node:
        base = power = None
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                base = self.argument()
            else:
                power = self.argument()
        node = Node("function", (self._function_argument(),) + ((base,) if base else ()), name)
        if power == Node("negative", (number(Fraction(1)),)):
            return Node("function", node.parts, "arc" + name)
        return node if power is None else Node("power", (node, power))

    def _function_argument(self) -> Node:
        opening = self.peek()
        if opening in ("(", "[", "{"):
            node = self.group(opening)
            if opening == "{" and self.peek() == "^":  # \sin{x}^2 is printed as \sin x^2; \sin(x)^2 is (\sin x)^2
                self.take()
                node = Node("power", (node, self.argument()))
            return node
        node = self.signed()
        while (token := self.peek()) is not None and self._starts_value(token) and token[1:] not in tree.FUNCTIONS:
            node = Node("multiply", (node, self.power()))
        return node

    def letter(self, token: str) -> Node:
        name = token[1:] if token.startswith("\\") else token
        if token in ("\\pi", "e", "i", "\\infty"):
            if self.peek() != "_":
                return Node("constant", value=name)
        elif not (token.isalpha() or name in tree.GREEK):
            raise ParseError(f"{token!r} is not known")
        marked = name + self.marks()
        function = name in tree.FUNCTION_LETTERS or (
            name in tree.GREEK and self.brackets_one()
        )  # P(1 + r) is a product
        if not function or self.peek() != "(":
            return Node("variable", value=marked)
        kind, shown = ("function", name.lower()) if marked in ("zeta", "Gamma") else ("apply", marked)
        return Node(kind, (self.group("("),), shown)

    def _starts_value(self, token: str) -> bool:
        if token == "|":
            return self._bars == 0
        if token[0].isdigit() or token[0] == ".":
            return not self.behind_digits()  # 3 4 is no product
        return token[0].isalpha() or token in tree.ROUND or token[1:] in _STARTS
