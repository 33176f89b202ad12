r"""Equality by math-verify, for mathematics beyond our `expressions`: sums, products, integrals.

Its first call in a process imports sympy, which takes a second or two.
"""

from __future__ import annotations

import logging
import re

_BEYOND = re.compile(r"\\(?:sum|prod|int)(?![A-Za-z])")
_UNSURE = re.compile(r"\\(?:gcd|lcm|min|max|ldots)(?![A-Za-z])")  # of letters, gcd is 1 to it; of others it drops parts
_GROUP = re.compile(r"[_^]\{[^{}]*\}")
_RELATION = re.compile(r"[=<>]|\\(?:[lg]e|ne|in|equiv|approx|to)(?![A-Za-z])")


def beyond(text: str) -> bool:
    """Whether a cleaned answer holds mathematics that only math-verify reads."""
    return _BEYOND.search(text) is not None and not _UNSURE.search(text)


def equal(gold: str, answer: str) -> bool:
    """Whether math-verify finds two cleaned answers equal. May not return.

    It takes some relations for a part of themselves, so one is equal to nothing here.
    """
    if any(_RELATION.search(_GROUP.sub("", text)) for text in (gold, answer)):
        return False
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns about the missing time limit
    parsed = [parse(f"${text}$", parsing_timeout=None) for text in (gold, answer)]
    return all(parsed) and verify(*parsed, timeout_seconds=None)
