import numpy as np
import pytest

from verl_dots.methods.dash.cache import RolloutCache
from verl_dots.stored import Response, pack


def group(name):
    return pack(name, 1, 1.0, np.array([7]), [Response(np.arange(3), np.full(3, -0.5), 1.0)])


def filled(passes, batches):
    cache = RolloutCache(passes)
    cache.begin(len(batches))
    for number, names in enumerate(batches):
        cache.keep(number, [group(name) for name in names])
    return cache


def taken(cache):
    found = []
    while not cache.due:
        groups, again = cache.take()
        found.append(("".join(one.question for one in groups), again))
    return found


def test_an_empty_cache_is_due_at_once():
    cache = RolloutCache(1)
    assert cache.due and cache.groups == 0
    with pytest.raises(RuntimeError, match="all that was sampled has been used"):
        cache.take()
    with pytest.raises(ValueError, match="passes=0"):
        RolloutCache(0)


def test_batches_come_in_order_after_the_first_and_again_in_each_pass():
    # The step that samples trains on the first batch itself.
    assert taken(filled(1, ["ab", "cd", "ef"])) == [("cd", False), ("ef", False)]
    assert taken(filled(3, ["ab"])) == [("ab", True), ("ab", True)]
    assert taken(filled(2, ["ab", "cd"])) == [("cd", False), ("ab", True), ("cd", True)]
    assert filled(1, ["ab"]).due
