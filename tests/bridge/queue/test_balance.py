import numpy as np
from omegaconf import OmegaConf

from verl_dots.bridge.queue.balance import balanced_part, cuts_of, forward_multiple, spread
from verl_dots.bridge.queue.rows import Rows


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
    for names in (order(5, 0), order(0, 3)):
        assert names == sorted(names)


def test_each_half_of_a_batch_has_half_of_the_replayed_groups():
    for fresh, replayed in [(48, 16), (32, 32), (8, 56)]:
        names = order(fresh, replayed)
        halves = [sum(name[0] == "z" for name in half) for half in np.array_split(names, 2)]
        assert abs(halves[0] - halves[1]) <= 1


def test_a_forward_pass_takes_whole_micro_batches_of_each_rank():
    def parts(rollout, ref=(True, None)):
        names = ("log_prob_use_dynamic_bsz", "log_prob_micro_batch_size_per_gpu")
        groups = {"rollout": rollout, "ref": ref}
        return OmegaConf.create({group: dict(zip(names, of, strict=True)) for group, of in groups.items()})

    sizes = [(True, 4), (False, 4), (False, None)]
    assert [forward_multiple(parts(of), ranks=3) for of in sizes] == [3, 12, 3]
    assert forward_multiple(parts((False, 4), (False, 6)), ranks=3) == 36


def test_rows_tell_how_many_mini_batches_they_were_cut_into():
    rows = Rows.of([f"{name}_0_0" for name in "abcdef"], [{} for _ in range(6)])
    assert cuts_of(rows, otherwise=5) == 5
    rows.meta.extra_info["mini_batch_size"] = 1  # verl's, of the critic
    assert cuts_of(rows, otherwise=5) == 5
    rows.pin({"mini_batch_size": 2})
    assert cuts_of(rows, otherwise=5) == 3


def test_a_part_of_a_batch_is_filled_up_and_balanced():
    rows = Rows.of([f"{name}_0_0" for name in "abcde"], [{"seq_len": length} for length in (10, 9, 8, 1, 2)])
    assert balanced_part(rows, range(5), 2, 3) is rows
    assert balanced_part(rows, [2, 0], 1, 1).uids == ["c", "a"]
    assert balanced_part(rows, [2, 1], 1, 4).uids == ["c", "b", "a", "d"]
    uids = balanced_part(rows, [0, 1, 3, 4], 2, 2).uids
    assert {frozenset(uids[:2]), frozenset(uids[2:])} == {frozenset("ad"), frozenset("be")}
