"""Rows over a queue in memory; the same calls on the real TransferQueue are in test_transfer_queue.py."""

import pytest
import torch

from tests.methods.conftest import queue  # noqa: F401  for every test of this file
from tests.methods.memory import put, together
from verl_dots.bridge.queue.pinned import LEFT_OUT
from verl_dots.bridge.queue.rows import Rows, incomplete
from verl_dots.step import Group, Origin, Step


def rows_of(*keys, **tags):
    """Rows by keys; `tags` by the uid, for its rows."""
    return Rows.of(keys, [{"seq_len": 3, "response_len": 2} | tags.get(key[0], {}) for key in keys])


def test_sorting_is_by_numbers_with_stored_groups_spread():
    stored = {"origin": "cached"}
    rows = rows_of("b_0_0", "a_10_0", "a_2_1", "a_2_0", "z_1_0", "z_0_0", "y_0_0", z=stored, y={"origin": "reference"})
    rows.sort()
    # Groups of this step at 1/6, 3/6, 5/6; the stored one at 1/2, after that of the step there.
    assert rows.keys == ["a_2_0", "a_2_1", "a_10_0", "b_0_0", "z_0_0", "z_1_0", "y_0_0"]
    assert [tag.get("origin") for tag in rows.tags] == [None, None, None, None, "cached", "cached", "reference"]


def test_some_rows_keep_partition_fields_and_pinned_entries_apart_from_the_others():
    rows = Rows.of(["a_0_0", "b_0_0", "c_0_0"], [{"seq_len": length} for length in (3, 4, 5)], "reference")
    rows.meta.fields = ["prompts"]
    rows.pin({"temperature": 0.5})
    part = rows.at([2, 0])
    assert (part.keys, [tag["seq_len"] for tag in part.tags]) == (["c_0_0", "a_0_0"], [5, 3])
    assert part.meta.partition_id == "reference" and part.meta.fields == ["prompts"] and len(part) == 2
    part.meta.extra_info.update({"temperature": 1.0, "mini_batch_size": 2})
    assert part.meta.extra_info == {"temperature": 0.5, "mini_batch_size": 2}
    assert rows.meta.extra_info == {"temperature": 0.5}


def test_kinds_of_rows_by_their_tags():
    origins = {kind[0]: {"origin": kind} for kind in ("reference", "cached")}
    rows = rows_of(
        "f_0_0", "r_0_0", "c_0_0", "o_0_0", "p_0_0", **origins, o={"origin": "replayed"}, p={"is_padding": True}
    )
    assert rows.origins == [Origin.FRESH, Origin.REFERENCE, Origin.CACHED, Origin.REPLAYED, Origin.FRESH]
    assert rows.own.uids == ["f", "r", "p"] and rows.own.real.uids == ["f", "r"]
    assert rows.stored.uids == ["c", "o"]
    assert rows.new.uids == ["f", "r", "c", "p"]
    assert Rows.of(["two_parts_3_1"], [{}]).uids == ["two_parts"]
    assert rows.tokens == 10 and rows.at([]).tokens == 0


def test_a_rollout_of_several_outputs_is_one():
    assert rows_of("a_0_0", "a_0_1", "a_1_0", "b_0_0").rollouts == 3 and rows_of().rollouts == 0


def test_fields_are_one_value_or_one_tensor_a_row():
    rows = put(Step(1), "a", (0.0, 1.0))
    rows.put({"age": torch.tensor([4, 5]), "weights": [torch.tensor([0.5]), torch.tensor([1.0, 2.0])]})
    weights, ages, turns = rows.at([1, 0]).get("weights", "age", "num_turns")
    assert [row.tolist() for row in weights] == [[1.0, 2.0], [0.5]] and ages == [5, 4] and turns == [2, 2]


def scores(rows):
    return [row.tolist() for row in rows.get("rm_scores")[0]]


def test_changed_rewards_hold_for_as_long_as_they_are_asked_for():
    rows = put(Step(1), "a", (0.25, 1.0))
    rows.put({"rm_scores": [torch.tensor([0.25]), torch.tensor([0.5, 0.5])]})
    assert rows.rewards() == [0.25, 1.0]
    with rows.rewarded([0.25, 0.75]):
        assert scores(rows) == [[0.25], [0.5, 0.25]]
    assert scores(rows) == [[0.25], [0.5, 0.5]]
    with pytest.raises(KeyError), rows.rewarded([0.0, 0.0]):
        raise KeyError
    assert scores(rows) == [[0.25], [0.5, 0.5]]
    with rows.rewarded(None):
        assert scores(rows) == [[0.25], [0.5, 0.5]]
    with pytest.raises(ValueError, match="shorter"), rows.rewarded([1.0]):
        pass


def test_groups_that_leave_take_their_rows_out_of_the_queue(queue):  # noqa: F811
    step = Step(1)
    rows = together(put(step, "a", (0.0, 1.0)), put(step, "b", (1.0,)), put(step, "c", (0.0, 0.0), lengths=(5, 6)))
    left, gone = rows.without({"a", "c"})
    assert left.keys == ["b_0_0"] == list(queue.tags["train"]) == list(queue.fields["train"])
    assert (gone.tokens, gone.rollouts) == (1 + 2 + 5 + 6, 4)
    same, none = left.without({"a"})
    assert same is left and (none.tokens, none.rollouts) == (0, 0)
    left.at([]).clear()
    assert list(queue.tags["train"]) == ["b_0_0"]


def test_a_moved_group_is_a_copy_of_another_origin_that_verl_waits_for(queue):  # noqa: F811
    rows = put(Step(3), "a", (0.0, 1.0), partition="reference")
    rows.at([]).move("train", Origin.REFERENCE, 4)
    assert not queue.tags["train"]
    rows.move("train", Origin.REFERENCE, 4)
    prompt = queue.tags["train"].pop("a")
    assert prompt == {"is_prompt": True, "status": "finished", "global_steps": 4}
    moved = Rows.of(list(queue.tags["train"]), list(queue.tags["train"].values()))
    assert moved.origins == [Origin.REFERENCE] * 2 and moved.keys == rows.keys
    assert [tag["global_steps"] for tag in moved.tags] == [3, 3] and moved.rewards() == [0.0, 1.0] == rows.rewards()
    assert rows.origins == [Origin.FRESH] * 2 and len(queue.tags["reference"]) == 2


def test_groups_have_a_reward_for_each_session_and_no_padding():
    step = Step(5)
    rows = together(
        put(step, "b", (1.0, 0.5, 0.0)), put(step, "pad", (9.0,), padding=True),
        put(step, "a", (0.25,), origin=Origin.CACHED, sampled=2),
    )  # fmt: skip
    # Session 1 of b has a second output, session 0 of a first one that does not count; in any order.
    more = Rows.of(["b_1_1", "b_10_0"], put(step, "x", (0.0, 0.0)).tags)
    more.put({"rm_scores": [torch.tensor([0.0, 0.75]), torch.zeros(2)]})
    found = together(more, rows.at([2, 1, 0, 3, 4])).groups({"b": 6})
    assert list(found) == ["a", "b"]
    assert found["b"] == Group("b", (1.0, 0.75, 0.0, 0.0), Origin.FRESH, 5, 6)
    assert found["a"] == Group("a", (0.25,), Origin.CACHED, 2, -1)
    assert rows.at([3]).groups({}) == {} == rows.at([]).groups({})


def test_incomplete_groups_are_found_by_their_rows():
    keys = ["a_0_0", "a_1_0", "b_0_0", "b_0_1", "d_0_0"]
    assert incomplete(keys, {"a": 2, "b": 2, "c": 3}) == {"b": 1, "c": 3}
    # verl has replaced c by d: three groups are there, as many as are enough.
    assert incomplete(keys, {"a": 2, "b": 1, "c": 3}, enough=3) == {}
    assert incomplete(keys, {"a": 2, "b": 2, "c": 3}, enough=3) == {"b": 1}
    assert incomplete([], {}) == {}


def test_joined_rows_keep_what_the_workers_get():
    first, second = put(Step(1), "a", (0.0, 1.0)), put(Step(1), "b", (0.5,))
    first.meta.extra_info["temperature"] = second.meta.extra_info["temperature"] = 0.7
    both = first.joined(second)
    assert both.keys == [*first.keys, *second.keys] and both.tags == [*first.tags, *second.tags]
    assert both.meta.extra_info == {"temperature": 0.7} and both.rewards() == [0.0, 1.0, 0.5]
    assert first.joined(second.at([])).keys == first.keys and first.at([]).joined(second).keys == second.keys
    assert first.joined(second, put(Step(1), "c", (1.0,))).rewards() == [0.0, 1.0, 0.5, 1.0]


def test_what_is_added_to_joined_rows_stays_and_what_is_held_of_them_is_held():
    first, second, third = (put(Step(1), name, (0.0, 1.0)) for name in "abc")
    both = first.joined(second)
    both.meta.extra_info.update({"calculate_entropy": True})  # as verl does before each pass
    assert both.meta.extra_info == {"calculate_entropy": True}
    first.pin({"mini_batch_size": 2})
    third.pin({"temperature": LEFT_OUT})
    first.meta.fields, second.meta.fields, third.meta.fields = ["a", "b"], ["c", "b", "a"], ["b"]
    every = first.joined(second, third)
    assert every.meta.fields == ["b"]  # which all of them have
    third.meta.fields = None
    every = first.joined(second, third)
    assert every.meta.fields is None
    every.meta.extra_info.update({"mini_batch_size": 64, "temperature": 1.0})
    assert every.meta.extra_info == {"mini_batch_size": 2}
