"""Groups by their names, and those that verl evicts, without Ray."""

import threading
from types import SimpleNamespace

import pytest

from tests.methods.conftest import queue  # noqa: F401  for every test of this file
from tests.methods.memory import put
from verl_dots.bridge.queue import arrivals
from verl_dots.bridge.queue.arrivals import arrived, keep_only, prompts_there
from verl_dots.bridge.queue.evictions import tell_evictions
from verl_dots.bridge.queue.looks import Looks
from verl_dots.bridge.queue.row_tags import age_figures, age_of, sampled_in
from verl_dots.bridge.queue.rows import TRAIN, announce
from verl_dots.bridge.trainer.patience import Patience, WaitError
from verl_dots.step import Step


@pytest.fixture
def asked(queue, monkeypatch):  # noqa: F811
    """Three groups of two rows; the second one has not ended."""
    monkeypatch.setattr(arrivals, "tq", queue)
    for uid in "abc":
        put(Step(1), uid, (0.0, 1.0))
    announce(["a", "b", "c"], TRAIN, 1)
    queue.kv_batch_put(["b"], TRAIN, tags=[{"status": "pending"}])
    return queue


def test_named_groups_are_taken_and_the_others_stay(asked):
    said = []
    rows = arrived(["c", "a"], TRAIN, Looks(0.01, said.append))
    assert sorted(rows.keys) == ["a_0_0", "a_1_0", "c_0_0", "c_1_0"] and rows.rewards().count(1.0) == 2
    assert prompts_there() == {"b"} and "b_0_0" in asked.tags[TRAIN]
    assert len(arrived([], TRAIN, Looks(0.01, said.append))) == 0 and said == []


@pytest.mark.parametrize("status", ["finished", "failure"])
def test_a_group_is_waited_for_until_it_has_ended_one_way_or_the_other(asked, status):
    timer = threading.Timer(0.05, asked.kv_batch_put, [["b"], TRAIN], {"tags": [{"status": status}]})
    timer.start()
    said = []
    assert sorted(arrived(["b"], TRAIN, Looks(0.01, said.append)).keys) == ["b_0_0", "b_1_0"]
    assert not timer.is_alive() and prompts_there() == {"a", "c"}
    assert said == ["rollouts: 0 groups are there, 1 are with the engine or the reward"]


def test_a_group_that_never_ends_is_waited_for_as_long_as_patience_lasts(asked):
    patience = Patience(0.2, "have more patience")
    told = "waited 0.2 s for rollouts: 1 groups are there, 1 are with"
    with pytest.raises(WaitError, match=told), patience.waiting("rollouts"):
        arrived(["a", "b"], TRAIN, Looks(0.01, patience.news))
    assert prompts_there() == {"a", "b", "c"}


def test_rows_of_a_step_that_a_checkpoint_was_made_in_are_cleared(asked):
    asked.kv_clear(["a"], TRAIN)  # its step has taken it and not ended
    keep_only({"b", "c"})
    assert sorted(asked.tags[TRAIN]) == ["b", "b_0_0", "b_1_0", "c", "c_0_0", "c_1_0"]


def test_evictions_are_told_with_their_rows_before_they_happen(asked):
    said = []
    buffer = SimpleNamespace(
        partitions={TRAIN: {key: tag for key, tag in asked.tags[TRAIN].items() if not tag.get("is_prompt")}, "val": {}},
        _clear_groups=lambda partition, uids: said.append((partition, sorted(uids))),
    )
    tell_evictions(buffer, lambda uids, rows: said.append((sorted(uids), sorted(rows.keys))))
    buffer._clear_groups(TRAIN, {"a"})
    buffer._clear_groups("val", {"v"})
    assert said == [(["a"], ["a_0_0", "a_1_0"]), (TRAIN, ["a"]), ("val", ["v"])]
    tell_evictions(buffer, lambda uids, rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        buffer._clear_groups(TRAIN, {"b"})
    assert said[-1] == (TRAIN, ["b"])  # whoever is told may end the run: the group is taken out all the same
    tell_evictions(object(), said.append)  # a buffer of the user's that has no such method


def test_the_age_of_a_row_is_that_of_its_oldest_weights_whatever_made_it_wait():
    # Version 4 is what step 4 leaves, so step 5 samples with it: in step 7 the row is 2 steps old.
    tags = [{"min_global_steps": 4, "max_global_steps": 6}, {"min_global_steps": 6, "max_global_steps": 6}]
    assert [sampled_in(tag) for tag in tags] == [5, 7] and [age_of(tag, 7) for tag in tags] == [2, 0]
    padding = {"min_global_steps": 0, "is_padding": True}
    assert age_figures([*tags, padding], 7) == {"training/age/mean": 1.0, "training/age/max": 2.0}
    assert age_figures([padding], 7) == {}
