import numpy as np
import pytest
from transfer_queue import KVBatchMeta

from verl_dots.bridge.rows import real_rows, rows_at, spread


def order(fresh, replayed, rollouts=2):
    """Names of the groups in the order that `spread` gives them."""
    uids = [f"{kind}{number}" for kind, count in (("a", fresh), ("z", replayed)) for number in range(count)]
    rows = [uid for uid in uids for _ in range(rollouts)]
    places = spread(rows, [uid[0] == "z" for uid in rows])
    assert sorted(places) == list(range(len(rows)))
    names = [rows[place] for place in places]
    assert all(names[start : start + rollouts] == [names[start]] * rollouts for start in range(0, len(rows), rollouts))
    return names[::rollouts]


def test_replayed_groups_lie_evenly_among_the_fresh():
    assert order(2, 2) == ["a0", "z0", "a1", "z1"]
    assert order(4, 2) == ["a0", "z0", "a1", "a2", "z1", "a3"]
    assert order(1, 3) == ["z0", "a0", "z1", "z2"]


@pytest.mark.parametrize("fresh, replayed", [(5, 0), (0, 3)])
def test_batches_of_one_kind_keep_their_order(fresh, replayed):
    names = order(fresh, replayed)
    assert names == sorted(names)


def test_each_half_of_a_batch_has_half_of_the_replayed_groups():
    for fresh, replayed in [(48, 16), (32, 32), (8, 56)]:
        names = order(fresh, replayed)
        halves = [sum(name[0] == "z" for name in half) for half in np.array_split(names, 2)]
        assert abs(halves[0] - halves[1]) <= 1


def test_rows_that_pad_a_batch_are_none_of_its_own():
    tags = [{"seq_len": 3}, {"seq_len": 1, "is_padding": True}, {"seq_len": 2, "is_padding": False}]
    batch = KVBatchMeta(partition_id="train", keys=["a_0_0", "pad1_0_0", "b_0_0"], tags=tags)
    assert real_rows(batch).keys == ["a_0_0", "b_0_0"]


def test_some_rows_of_a_batch():
    class Marked(dict):
        pass

    tags = [{"seq_len": length} for length in (3, 4, 5)]
    batch = KVBatchMeta(partition_id="train", keys=["a_0_0", "b_0_0", "c_0_0"], tags=tags, extra_info=Marked(x=1))
    part = rows_at(batch, [2, 0])
    assert (part.keys, [tag["seq_len"] for tag in part.tags]) == (["c_0_0", "a_0_0"], [5, 3])
    assert isinstance(part.extra_info, Marked) and part.extra_info is not batch.extra_info
