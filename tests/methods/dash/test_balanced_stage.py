"""Rows that stand for others of their side, without Ray: what leaves, the weights, and the generator."""

import pytest
import torch

from tests.methods.memory import batch, carry_over, declared, make_run, put, together
from verl_dots.methods.dash.filter_stage import BalancedFilter, Filter
from verl_dots.state import StateError
from verl_dots.step import Step

HARD, EASY, EVEN, EQUAL = (0.0, 1.0, 0.0, 0.0), (1.0, 0.0, 1.0, 1.0), (0.0, 1.0, 1.0, 0.0), (1.0,) * 4


def stage(**settings):
    more = {"actor_rollout_ref__rollout__n": 4}
    return BalancedFilter.make(make_run({"filter": {"enable": True, "balanced": True, **settings}}, **more))


def groups(*rewards, number=1):
    step = Step(number)
    return step, batch(step, dict(enumerate(rewards)))


def weights(one, step, rows):
    """{(question, rollout): weight} of the rows that the update has."""
    one.begin(step)
    one.complete(step, rows)
    part = one.reduce(step, rows)
    step.timing["update_actor"] = 0.0
    names = [(int(key.split("prompt")[1][:6]), int(key.split("_")[1])) for key in part.keys]
    return dict(zip(names, [float(weight) for weight in part.get("advantage_weight")[0]], strict=True))


def test_the_rarer_side_stays_and_as_many_drawn_of_the_other_count_for_it():
    one, (step, rows) = stage(), groups(HARD, EASY, EVEN, EQUAL)
    found = weights(one, step, rows)
    assert found[0, 1] == found[1, 1] == 1 and {found[2, rollout] for rollout in range(4)} == {1}
    # The other two: one of three each.
    assert sorted(found.values()) == [1] * 6 + [3] * 2 and {key[0] for key in found} == {0, 1, 2}
    figures = one.metrics(step)
    assert figures["filter/rows"] == 8 and figures["filter/kept_rows"] == 8
    assert figures["filter/drawn_out_rows"] == 4 and figures["filter/weight/max"] == 3
    assert set(figures) == declared(Filter, BalancedFilter)
    # Advantages and what is known of the groups are those of all rows.
    assert {uid: group.rewards for uid, group in step.groups.items()} == {
        uid: rewards for uid, rewards in zip(sorted(step.groups), (HARD, EASY, EVEN, EQUAL), strict=True)
    }
    assert [int(count) for count in one.reduce(step, rows).get("unfiltered_tokens")[0]] == [4 * 10] * 8


def test_a_late_filter_draws_once_at_the_update():
    one, (step, rows) = stage(early=False), groups(HARD, EVEN, EQUAL, EQUAL)
    state = one.state_dict()
    one.begin(step)
    one.complete(step, rows)
    assert one.state_dict() == state
    pairs = zip(rows.get("rm_scores")[0], (*HARD, *EVEN, *EQUAL, *EQUAL), strict=True)
    rows.put({"advantages": [torch.full_like(row_T, reward - 0.5) for row_T, reward in pairs]})
    part = one.reduce(step, rows)
    assert sorted(float(weight) for weight in part.get("advantage_weight")[0])[-1] == 3
    assert one.state_dict() != state
    # The rows keep their advantages: the weight is the loss's affair.
    assert {abs(float(row[0])) for row in part.get("advantages")[0]} == {0.5}


def test_draws_are_the_same_in_whatever_order_and_with_whatever_padding_and_other_ones_in_each_step():
    (step, rows), one, drawn = groups(HARD, EASY, EASY, HARD), stage(), []
    for order in (range(16), range(15, -1, -1)):
        drawn.append(weights(stage(), step, rows.at(order)))
    pad = put(step, "prompt000009", (0.0, 1.0), padding=True)
    drawn.append(weights(stage(), step, together(pad, rows)))
    assert drawn[0] == drawn[1] == drawn[2]
    assert len({tuple(sorted(weights(one, step, rows))) for _ in range(8)}) > 4


def test_another_run_continues_the_draws_and_refuses_another_state(tmp_path):
    (step, rows), one, other = groups(HARD, EASY, EASY, HARD), stage(), stage()
    first = weights(one, step, rows)
    carry_over(one, other, tmp_path)
    later = [weights(one, step, rows) for _ in range(4)]
    assert [weights(other, step, rows) for _ in range(4)] == later and first not in later[:1]
    with pytest.raises(StateError, match="filter: the checkpoint lacks"):
        other.load_state_dict({})


def test_without_it_no_row_has_a_weight_and_nothing_is_remembered():
    one, (step, rows) = Filter.make(make_run({"filter": {"enable": True}})), groups(HARD, EASY, EVEN, EQUAL)
    one.complete(step, rows)
    part = one.reduce(step, rows)
    assert len(part) == 12 and one.state_dict() is None
    with pytest.raises(KeyError):
        part.get("advantage_weight")
