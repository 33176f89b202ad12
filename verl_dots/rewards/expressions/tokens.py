"""The tokens that an expression is made of, read from left to right."""

from __future__ import annotations

import re
from fractions import Fraction

from verl_dots.rewards.expressions.tree import ParseError

_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|\\[A-Za-z]+|\\[{}|]|[A-Za-z]|[-+*/^_!(){}\[\]|,'])")
_MOST_LINKS = 300


class Tokens:
    """The tokens of a text, and how far they have been read.

    Raises:
        ParseError: a character of the text is none.
    """

    def __init__(self, text: str):
        self._tokens, self._at, self._links = _tokens(text), 0, 0

    def peek(self) -> str | None:
        """The next token; None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def take(self, expected: str | None = None) -> str:
        """Read the next token; ParseError unless there is one, and it is the expected one."""
        token = self.peek()
        if token is None or (expected is not None and token != expected):
            raise ParseError(f"{token!r} stands where {expected or 'a value'!r} should")
        self._at += 1
        return token

    def back(self) -> None:
        """Unread the last token."""
        self._at -= 1

    def count_link(self) -> None:
        """Count a term or a factor: a tree is as deep as their chain is long, and walked by recursion."""
        self._links += 1
        if self._links > _MOST_LINKS:
            raise ParseError(f"it has more than {_MOST_LINKS} terms and factors")

    def behind_digits(self) -> bool:
        """Whether the token read last is a number in digits."""
        return self._at > 0 and self._tokens[self._at - 1][0].isdigit()

    def proper_fraction(self) -> Fraction | None:
        r"""Read the fraction of a mixed number, as in `3\frac{1}{2}`, if one follows."""
        tokens = self._tokens[self._at : self._at + 7]
        if len(tokens) == 7 and tokens[0] == "\\frac" and tokens[2].isdigit() and tokens[5].isdigit():
            upper, lower = int(tokens[2]), int(tokens[5])
            if tokens[1] == tokens[4] == "{" and tokens[3] == tokens[6] == "}" and 0 < upper < lower:
                self._at += 7
                return Fraction(upper, lower)
        return None

    def brackets_one(self) -> bool:
        r"""Whether one number or letter in brackets follows, as in `\phi(5)`: no factor is written so."""
        tokens = self._tokens[self._at : self._at + 3]
        return len(tokens) == 3 and tokens[0] == "(" and tokens[2] == ")" and tokens[1].lstrip("\\")[:1].isalnum()

    def marks(self) -> str:
        """Read a variable's subscript and primes."""
        marks = ""
        while self.peek() in ("_", "'"):
            if self.take() == "'":
                marks += "'"
                continue
            if self.peek() != "{":
                marks += "_" + self.take()
                continue
            depth, inner = 0, []
            while True:
                token = self.take()
                depth += {"{": 1, "}": -1}.get(token, 0)
                if depth == 0:
                    break
                inner.append(token)
            marks += "_" + "".join(inner[1:])
        return marks


def _tokens(text: str) -> list[str]:
    """The tokens of a text.

    Raises:
        ParseError: a character is none.
    """
    found, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ParseError(f"{text[position]!r} is not known")
        found.append(match[1])
        position = match.end()
    return found
