"""Rows that leave the update, without Ray: forward passes give -0.25 a token, the engine gave -0.5.

A group has rollouts of 1 and 2 tokens and prompts of 2. With rewards of 0 and 1 its advantages differ from 0, with
equal ones they are 0 and its rows leave at the default threshold.
"""

import pytest
import torch

from tests.methods.memory import MemoryTrainer, batch, declared, make_run, put, together
from tests.refusals import refused
from verl_dots.methods.dash import filter_stage
from verl_dots.methods.dash.filter_stage import Filter, Pace
from verl_dots.step import Step

DIFFER, EQUAL = (0.0, 1.0), (1.0, 1.0)
ACTOR, ROLLOUT = "actor_rollout_ref__actor__", "actor_rollout_ref__rollout__"
FIXED = {f"{ACTOR}use_dynamic_bsz": False, f"{ACTOR}ppo_micro_batch_size_per_gpu": 3}


def stage(ranks=1, more=None, **settings):
    return Filter.make(make_run({"filter": {"enable": True, **settings}}, ranks=ranks, **(more or {})))


def groups(*rewards, number=1):
    """A step with a group for each pair of rewards, and its rows."""
    step = Step(number)
    return step, batch(step, dict(enumerate(rewards)))


def short(rows):
    """Rows as "group.rollout"."""
    return " ".join(f"{int(key.split('prompt')[1][:6])}.{key.split('_')[1]}" for key in rows.keys)


def run_forward(one, step, rows, field="old_log_probs"):
    """The rows of the forward pass; "" for none."""
    found, metrics = [], {}

    def inner(part, figures):
        found.append(short(part))
        MemoryTrainer().forward(field, part, figures)

    one.forward(step, field, inner, rows, metrics)
    assert metrics == ({"actor/entropy": 0.5} if found else {})
    return " ".join(found)


def advantages(rows, *value_N):
    rows.put({"advantages": [torch.full((tag["response_len"],), v) for tag, v in zip(rows.tags, value_N, strict=True)]})


def reduced(one, step, rows):
    """(rows, those that fill up, rows of a mini-batch, tokens of each row's mini-batch) of the update."""
    part = one.reduce(step, rows)
    step.timing["update_actor"] = 0.0
    part.meta.extra_info.update({"mini_batch_size": 99})  # as verl does
    fillers, tokens = part.get("filler", "unfiltered_tokens")
    fillers = part.at([place for place, filler in enumerate(fillers) if filler])
    return short(part), short(fillers), part.meta.extra_info["mini_batch_size"], [int(count) for count in tokens]


def value(rows, field):
    return [float(row[0]) for row in rows.get(field)[0]]


def test_rows_without_an_advantage_leave_before_the_forward_passes():
    one, (step, rows) = stage(), groups(DIFFER, EQUAL, (0.0, 0.0), DIFFER)
    one.begin(step)
    one.complete(step, rows)
    for field in ("old_log_probs", "ref_log_prob"):
        assert run_forward(one, step, rows, field) == "0.0 0.1 3.0 3.1"
    assert not step.forwarded
    # They have the engine's log-probs; there is nothing of the reference policy.
    assert value(rows, "old_log_probs") == [-0.25] * 2 + [-0.5] * 4 + [-0.25] * 2
    assert value(rows, "ref_log_prob") == [-0.25] * 2 + [0.0] * 4 + [-0.25] * 2
    assert reduced(one, step, rows) == ("0.0 0.1 3.0 3.1", "", 4, [12] * 4)
    figures = one.metrics(step)
    # 4 of 8 rows, of 2 * (3 + 4) tokens.
    assert figures == {"filter/rows": 4, "filter/share": 0.5, "filter/tokens": 14, "filter/seconds_saved": 0}
    assert set(figures) == declared(Filter)


def test_without_log_probs_of_the_engine_a_0_stands_in():
    one, (step, rows) = stage(more={f"{ROLLOUT}calculate_log_probs": False}), groups(DIFFER, EQUAL, DIFFER, DIFFER)
    one.complete(step, rows)
    run_forward(one, step, rows)
    assert value(rows, "old_log_probs") == [-0.25] * 2 + [0.0] * 2 + [-0.25] * 4
    assert rows.get("old_log_probs")[0][2].dtype == torch.float32


def test_a_late_filter_waits_for_the_advantages():
    one, (step, rows) = stage(early=False, threshold=0.125), groups(DIFFER, EQUAL, EQUAL, EQUAL)
    one.complete(step, rows)
    assert len(run_forward(one, step, rows).split()) == 8 and step.forwarded
    # |advantage| above 0.125, of tokens that count: rejection took all of the last row's out.
    advantages(rows, 0.125, -0.125, 0.25, -0.25, 0.0, 0.0625, -0.1875, 5.0)
    mask = [torch.ones(tag["response_len"], dtype=torch.int64) for tag in rows.tags]
    rows.put({"response_mask": [*mask[:-1], torch.zeros(2, dtype=torch.int64)]})
    # The loss is divided by the tokens before rejection: 4 groups of 3.
    assert reduced(one, step, rows) == ("1.0 1.1 3.0", "", 3, [12] * 3)
    assert one.metrics(step)["filter/rows"] == 5


def test_a_step_begins_without_what_the_last_one_decided():
    one, (step, rows) = stage(), groups(DIFFER, EQUAL, EQUAL, EQUAL)
    one.complete(step, rows)
    reduced(one, step, rows)
    assert one.metrics(step)["filter/rows"] == 6
    one.begin(later := Step(2))
    assert one.metrics(later) == {}  # no update in the critic's warm-up
    assert len(run_forward(one, later, rows).split()) == 8 and later.forwarded


def test_where_all_rows_leave_nothing_is_computed_and_the_shortest_fills_the_mini_batch():
    one, (step, rows) = stage(more={f"{ACTOR}use_dynamic_bsz": False}), groups(EQUAL, EQUAL, EQUAL, EQUAL)
    one.complete(step, rows)
    assert run_forward(one, step, rows) == "" and value(rows, "old_log_probs") == [-0.5] * 8
    assert reduced(one, step, rows) == ("0.0", "0.0", 1, [12])
    assert one.metrics(step)["filter/tokens"] == 25  # all 28 but the filler's 3


def test_where_no_row_leaves_nothing_stands_in():
    one, (step, rows) = stage(), groups(DIFFER, DIFFER, DIFFER, DIFFER)
    one.complete(step, rows)
    assert len(run_forward(one, step, rows).split()) == 8 and value(rows, "old_log_probs") == [-0.25] * 8
    assert one.metrics(step) == {}


@pytest.mark.parametrize(
    ("ranks", "more", "rows_left", "fillers", "size", "tokens"),
    [
        # Two mini-batches of rows 0-3 and 4-7, of 6 tokens each: the second keeps its two shortest.
        (1, {f"{ACTOR}ppo_mini_batch_size": 2}, "0.0 0.1 2.0 3.0", "2.0 3.0", 2, [6] * 4),
        (1, {f"{ACTOR}ppo_mini_batch_size": 2} | FIXED, "0.0 0.1 1.0 2.0 2.1 3.0", "1.0 2.0 2.1 3.0", 3, [6] * 6),
        # One mini-batch, whose rows 0-3 and 4-7 are of two ranks.
        (2, {}, "0.0 0.1 2.0 3.0", "2.0 3.0", 4, [12] * 4),
    ],
)
def test_mini_batches_of_all_ranks_stay_equal(ranks, more, rows_left, fillers, size, tokens):
    one, (step, rows) = stage(ranks, more), groups(DIFFER, EQUAL, EQUAL, EQUAL)
    one.complete(step, rows)
    rows.meta.fields = ["advantages"]
    assert reduced(one, step, rows) == (rows_left, fillers, size, tokens)
    assert rows.meta.extra_info == {} and one.reduce(step, rows).meta.fields is None


def test_a_forward_pass_is_filled_up_for_all_ranks():
    one, (step, rows) = stage(4), groups(DIFFER, EQUAL, EQUAL, EQUAL)
    one.complete(step, rows)
    assert sorted(run_forward(one, step, rows).split()) == ["0.0", "0.1", "1.0", "1.1"]
    assert value(rows, "old_log_probs") == [-0.25] * 2 + [-0.5] * 6


def test_rows_that_pad_the_batch_leave_and_are_no_share_of_it():
    one, (step, rows) = stage(threshold=0.25, kind="quantile"), groups(DIFFER, DIFFER, DIFFER, EQUAL)
    rows = together(rows, put(step, "prompt000009", (5.0, 0.0), padding=True))
    one.complete(step, rows)
    assert reduced(one, step, rows)[0] == "0.0 0.1 1.0 1.1 2.0 2.1"
    assert one.metrics(step)["filter/rows"] == 2 and one.metrics(step)["filter/share"] == 0.25


def test_of_equal_rows_the_same_ones_leave_whenever_they_meet():
    left = set()
    for number in range(1, 9):
        step, rows = groups(*[DIFFER] * 4, number=number)
        pad = put(step, f"prompt00000{number}{number}", (0.0, 0.0), padding=True)  # verl draws its name
        kept = []
        for order, padded in ((range(8), False), (range(7, -1, -1), True)):
            one = stage(threshold=0.5, kind="quantile")
            again = together(rows.at(order), pad) if padded else rows.at(order)
            one.complete(step, again)
            kept.append(sorted(reduced(one, step, again)[0].split()))
        assert kept[0] == kept[1] and len(kept[0]) == 4
        left.add(tuple(kept[0]))
    assert len(left) > 4  # drawn anew in each step


def test_seconds_that_a_step_is_spared(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(filter_stage.time, "perf_counter", lambda: clock[0])
    one = stage()

    def step_of(number, *rewards, seconds, update):
        step, rows = groups(*rewards, number=number)
        one.begin(step)
        one.complete(step, rows)

        def inner(part, figures):
            clock[0] += seconds
            part.put({"old_log_probs": part.get("rollout_log_probs")[0]})

        one.forward(step, "old_log_probs", inner, rows, {})
        reduced(one, step, rows)
        step.timing["update_actor"] = update
        return one.metrics(step)["filter/seconds_saved"]

    # 7 tokens a group. The first step warms up; the second and the third are a line: 1.5 s for 14 tokens and 2.5 s for
    # 28, so 0.5 s for any; in the update 2 s and 4 s.
    assert step_of(1, DIFFER, EQUAL, EQUAL, EQUAL, seconds=60.0, update=60.0) == 0
    assert step_of(2, DIFFER, DIFFER, EQUAL, EQUAL, seconds=1.5, update=2.0) == 0
    assert step_of(3, DIFFER, DIFFER, DIFFER, DIFFER, seconds=2.5, update=4.0) == pytest.approx(0.0)
    # On that line, 21 tokens less: 1.5 s and 3 s.
    assert step_of(4, DIFFER, EQUAL, EQUAL, EQUAL, seconds=1.0, update=1.0) == pytest.approx(4.5)
    # Nothing is computed, so the whole forward pass is spared; the update has its filler of 3 tokens.
    assert step_of(5, EQUAL, EQUAL, EQUAL, EQUAL, seconds=9.0, update=3 / 7) == pytest.approx(2.5 + 4 - 3 / 7)


def test_noise_never_makes_more_work_cheaper():
    for measured in ((100, 2.0), (200, 1.0)), ((100, 1.0), (200, 3.0)):
        pace = Pace()
        for tokens, seconds in ((1, 1.0), *measured):
            pace.observe(tokens, seconds)
        assert pace.seconds(400) >= pace.seconds(100) > 0 and pace.seconds(1) >= 0


def test_what_the_filter_asks_of_a_run():
    with refused("trainer.v1.trainer_mode"):  # without the trainer "dots"
        Filter.refuse(stage().run.config, stage().run.dots)
    assert Filter.own_loss and not Filter.unequal_groups
