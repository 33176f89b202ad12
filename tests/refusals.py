"""Refused settings in tests: by key and reason, which stay when the words of a message change."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts.bad_inputs import changed  # noqa: F401  for the tests of refusals
from verl_dots.settings import Refusal


@contextmanager
def refused(
    key: str, reason: str | None = None, *named: str, kind: type[Refusal] = Refusal
) -> Iterator[pytest.ExceptionInfo]:
    """Fail unless the block refuses this key, for this reason if one is given.

    The message must name the key, and what is `named` of what was given: files, rows, numbers; never its own words.
    """
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.key == key
    assert reason in (None, caught.value.reason)
    assert caught.value.reason and all(name in str(caught.value) for name in (key, *named))


def cases(table: str) -> list[tuple[str, str, str]]:
    """(overrides, key, reason) of the lines `GROUP.KEY,KEY=VALUE|VALUE [KEY=VALUE ...] [-> KEY] [: REASON]`.

    One for each key and value of the first override. The key is the refused one unless another is named. verl's own
    refusals name none.
    """
    found = []
    for line in table.strip().splitlines():
        given, _, reason = line.partition(" : ")
        given, _, named = given.partition(" -> ")
        first, *more = given.split()
        keys, _, values = first.partition("=")
        group = keys.split(",")[0].rpartition(".")[0]
        for key in (f"{group}.{name}".lstrip(".") for name in keys.removeprefix(f"{group}.").split(",")):
            refused_key = "" if reason == "verl" else named or key.lstrip("+")
            found += [(" ".join([f"{key}={value}", *more]), refused_key, reason) for value in values.split("|")]
    return found
