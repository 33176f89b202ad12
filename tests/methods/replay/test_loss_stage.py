"""Which rows a forward pass takes, without Ray; what is written is in test_replay_end_to_end.py."""

import copy
from types import SimpleNamespace

import pytest
from transfer_queue import KVBatchMeta

from verl_dots.bridge.rows import fresh_rows
from verl_dots.methods.replay.loss_stage import OffPolicyStage
from verl_dots.methods.replay.settings import LossConfig


def stage(ranks=1, micro=None, **changes):
    rollout = SimpleNamespace(
        temperature=1.0, log_prob_use_dynamic_bsz=micro is None, log_prob_micro_batch_size_per_gpu=micro
    )
    return OffPolicyStage("grpo_rr", LossConfig(), rollout, ranks, **changes)


def batch(lengths, replayed=(), temperature=None):
    tags = [{"seq_len": length, "global_steps": 1} for length in lengths]
    for place in replayed:
        tags[place] |= {"stored": True, "replayed": True} | (
            {} if temperature is None else {"temperature": temperature}
        )
    keys = [f"q{place}_0_0" for place in range(len(lengths))]
    return KVBatchMeta(partition_id="train", keys=keys, tags=tags, extra_info={"temperature": 1.0})


def keys(part):
    return [int(key[1:].split("_")[0]) for key in part.keys]


def test_one_rank_takes_the_rows_in_their_order():
    assert keys(stage()._part(batch([5, 9, 3, 4]), [0, 2, 3])) == [0, 2, 3]
    whole = batch([5, 9])
    assert stage()._part(whole, [0, 1]) is whole


def test_ranks_get_equal_numbers_of_rows_and_nearly_equal_work():
    part = stage(ranks=2)._part(batch([100, 1, 100, 1, 7]), [0, 1, 2, 3])
    first, second = keys(part)[:2], keys(part)[2:]
    assert sorted(map(lambda pair: sorted(place % 2 for place in pair), (first, second))) == [[0, 1], [0, 1]]


def test_what_does_not_divide_is_filled_up_with_other_rows():
    part = stage(ranks=2)._part(batch([4, 4, 4, 4, 4, 4]), [1, 3, 5])
    assert len(part) == 4 and set(keys(part)) == {0, 1, 3, 5}
    # Whole micro-batches of each rank: 2 ranks of 2 rows.
    assert len(stage(ranks=2, micro=2)._part(batch([4] * 8), [0, 1, 2, 3, 4])) == 8
    assert len(stage(ranks=1, micro=3)._part(batch([4] * 9), [0, 1])) == 3


def test_rows_of_one_temperature_leave_verls_own():
    rows = batch([3, 3], replayed=[1], temperature=1.0)
    assert not stage().keep_temperatures(rows) and rows.extra_info == {"temperature": 1.0}


def test_rows_of_one_other_temperature_have_that_one():
    """All of them stored, and the run goes on at another temperature."""
    rows = batch([3, 3], replayed=[0, 1], temperature=0.6)
    assert not stage(one_temperature=True).keep_temperatures(rows)
    rows.extra_info.update({"temperature": 1.0})
    assert rows.extra_info == {"temperature": 0.6}


def test_rows_of_several_temperatures_keep_theirs_whatever_verl_says():
    rows = batch([3, 3], replayed=[1], temperature=0.6)
    assert stage().keep_temperatures(rows)
    rows.extra_info.update({"temperature": 1.0, "calculate_entropy": True})
    assert rows.extra_info == {"calculate_entropy": True}
    # As it goes to the workers:
    assert copy.deepcopy(rows.extra_info) == {"calculate_entropy": True}
    with pytest.raises(ValueError, match=r"rollouts of temperatures \[0.6, 1.0\] in one batch: .*use_fused_kernels"):
        stage(one_temperature=True).keep_temperatures(batch([3, 3], replayed=[1], temperature=0.6))


def test_fresh_rows_are_those_of_this_step():
    assert keys(fresh_rows(batch([3, 3, 3], replayed=[0, 2]))) == [1]
