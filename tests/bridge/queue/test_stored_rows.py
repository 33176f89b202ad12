"""Groups between rows and a store, without Ray."""

import pytest
import torch

from tests.methods.conftest import queue  # noqa: F401  for every test of this file
from tests.methods.memory import batch, make_run
from verl_dots.bridge.queue import stored_rows
from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.queue.stored_rows import FIELDS, pack_rows, pieces, put_back
from verl_dots.step import Group, Origin, Step
from verl_dots.stored import ReplayError

KNOWN = make_run({}, questions=5).questions


def kept(step, **rewards):
    """Two groups of questions 3 and 1, the second rollout of the first with a tool's token in its middle."""
    rows = batch(step, {3: (0.0, 0.5), 1: (1.0, -1.0)}, lengths=(2, 3), temperature=None)
    rows.put({"old_log_probs": [torch.full((length,), -0.125) for length in (2, 3, 2, 3)]})
    rows.at([1]).put({"response_mask": [torch.tensor([1, 0, 1])]})
    return rows


def test_rows_become_groups_of_their_step_and_temperature_in_the_order_of_names_and_sessions():
    step = Step(4, temperature=0.75)
    rows = kept(step).at([3, 1, 0, 2])
    first, second = pack_rows(rows, KNOWN, step, "old_log_probs")
    assert [first.question, second.question] == [KNOWN.known.ids[3], KNOWN.known.ids[1]]
    assert (first.step, first.temperature, first.prompt_N.tolist()) == (4, 0.75, [1, 2])
    responses = list(first.responses())
    found = [(one.reward, one.tokens_T.tolist(), one.turns) for one in responses]
    assert found == [(0, [0, 1], 2), (0.5, [0, 1, 2], 2)]
    assert responses[1].mask_T.tolist() == [True, False, True]
    assert {float(value) for one in responses for value in one.log_probs_T} == {-0.125}
    assert [one.reward for one in second.responses()] == [1.0, -1.0]
    engine = pack_rows(rows, KNOWN, step, "rollout_log_probs")[0]
    assert {float(value) for one in engine.responses() for value in one.log_probs_T} == {-0.5}
    assert pack_rows(rows.at([]), KNOWN, step, "old_log_probs") == []


def test_a_rollout_of_several_outputs_cannot_be_kept():
    step = Step(1)
    rows = kept(step)
    more = Rows.of([rows.keys[0].removesuffix("0") + "1"], rows.tags[:1])
    names = [*FIELDS, "old_log_probs"]
    columns = dict(zip(names, rows.at([0]).get(*names), strict=True))
    more.put(columns | {"num_turns": torch.tensor([2])})
    with pytest.raises(ReplayError, match="prompt000000, rollout 0 has several outputs; one output"):
        pack_rows(more, KNOWN, step, "old_log_probs")


@pytest.mark.parametrize("origin", [Origin.CACHED, Origin.REPLAYED])
def test_groups_come_back_as_rows_that_verl_trains_on(queue, origin):  # noqa: F811
    before, now = Step(4, temperature=0.75), Step(6)
    groups = pack_rows(kept(before), KNOWN, before, "rollout_log_probs")
    queue.__init__()
    put_back(KNOWN, groups, now, origin)
    uids = [f"step0000006-{origin.value}00000{place}" for place in (0, 1)]
    assert now.question_of == dict(zip(uids, (3, 1), strict=True))
    prompts = {key: queue.tags["train"].pop(key) for key in uids}
    assert set(map(str, prompts.values())) == {"{'is_prompt': True, 'status': 'finished', 'global_steps': 6}"}
    rows = Rows.of(list(queue.tags["train"]), list(queue.tags["train"].values()))
    assert rows.groups(now.question_of) == {
        uids[0]: Group(uids[0], (0.0, 0.5), origin, 4, 3),
        uids[1]: Group(uids[1], (1.0, -1.0), origin, 4, 1),
    }
    # The weights of step 3 have sampled them.
    assert rows.tags[1] == {
        "status": "success", "temperature": 0.75, "global_steps": 4, "min_global_steps": 3, "max_global_steps": 3,
        "prompt_len": 2, "response_len": 3, "seq_len": 5, "origin": origin.value,
    }  # fmt: skip
    wanted = {
        "uid": uids[0], "session_id": 1, "global_steps": 4, "prompts": [1, 2], "responses": [0, 1, 2],
        "input_ids": [1, 2, 0, 1, 2], "position_ids": [0, 1, 2, 3, 4], "response_mask": [1, 0, 1],
        "loss_mask": [1, 0, 1], "rollout_log_probs": [-0.5] * 3, "rm_scores": [0.0, 0.0, 0.5], "num_turns": 2,
        "raw_prompt": [{"content": "question 3", "role": "user"}], "data_source": "test",
    }  # fmt: skip
    found = dict(zip(wanted, (column[0] for column in rows.at([1]).get(*wanted)), strict=True))
    assert {name: value.tolist() if hasattr(value, "tolist") else value for name, value in found.items()} == wanted


def test_nothing_to_put_back_touches_nothing(queue):  # noqa: F811
    put_back(KNOWN, [], step := Step(1), Origin.CACHED)
    assert step.question_of == {} and not queue.tags["train"]


def test_pieces_hold_few_tokens_or_one_place():
    assert pieces([3, 3, 3, 9, 1], most=6) == [range(2), range(2, 3), range(3, 4), range(4, 5)]
    assert pieces([1, 1], most=6) == [range(2)] and pieces([], most=6) == []


def test_piece_by_piece_the_groups_are_the_same(queue, monkeypatch):  # noqa: F811
    calls = []
    put, get = queue.kv_batch_put, queue.kv_batch_get
    step = Step(4, temperature=0.75)
    rows = kept(step).at([3, 1, 0, 2])
    whole = pack_rows(rows, KNOWN, step, "old_log_probs")
    monkeypatch.setattr(stored_rows, "PIECE_TOKENS", 1)
    monkeypatch.setattr(queue, "kv_batch_get", lambda keys, *a, **k: calls.append(len(keys)) or get(keys, *a, **k))
    parts = pack_rows(rows, KNOWN, step, "old_log_probs")
    assert calls == [2, 2]  # a group each
    for one, other in zip(whole, parts, strict=True):
        assert one.question == other.question and one.tokens_N.tolist() == other.tokens_N.tolist()
        assert one.rewards_G.tolist() == other.rewards_G.tolist() and one.mask_bits.tolist() == other.mask_bits.tolist()
    calls.clear()
    monkeypatch.setattr(queue, "kv_batch_put", lambda keys, *a, **k: calls.append(len(keys)) or put(keys, *a, **k))
    put_back(KNOWN, parts, now := Step(6), Origin.CACHED)
    assert calls == [2, 2, 2] and len(now.question_of) == 2  # the rows of each group, then both prompts
