r"""Equality by math-verify, for mathematics beyond `expressions`: sums, products, integrals, gcd.

Its first call in a process imports sympy, which takes a second or two.
"""

from __future__ import annotations

import logging
import re

_BEYOND = re.compile(r"\\(?:sum|prod|int|gcd|lcm)(?![A-Za-z])|\\text\{(?:gcd|lcm)\}")


def beyond(text: str) -> bool:
    """Whether a cleaned answer holds mathematics that only math-verify reads."""
    return _BEYOND.search(text) is not None


def equal(gold: str, answer: str) -> bool:
    """Whether math-verify finds two cleaned answers equal. May not return."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns about the missing time limit
    parsed = [parse(f"${text}$", parsing_timeout=None) for text in (gold, answer)]
    return all(parsed) and verify(*parsed, timeout_seconds=None)
