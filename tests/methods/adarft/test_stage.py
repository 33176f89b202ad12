"""AdaRFT in a step, without Ray: alone as the source of questions, and as the target of selection.

The data have 8 questions of difficulty 0 to 7.
"""

import math

import numpy as np
import pytest

from tests.methods.memory import carry_over, declared, make_run
from tests.refusals import refused
from verl_dots.methods.adarft.stage import AdaRFT, AdaRFTTarget
from verl_dots.step import Group, Origin, Step

SETTINGS = {
    "enable": True, "difficulty": "extra_info.level", "range": [0.0, 7.0], "initial": 2.9, "eta": 2.0,
    "sensitivity": 2.0, "beta": 0.5,
}  # fmt: skip


def run(seed=1, selection=False, fresh=2, **changes):
    dots = {"seed": seed, "adarft": {**SETTINGS, **changes}, "selection": {"enable": selection}}
    return make_run(dots, fresh=fresh)


def source(**changes):
    return AdaRFT.make(run(**changes))


def aim(**changes):
    return AdaRFTTarget.make(run(selection=True, **changes))


def step(number, *groups):
    """A step of groups (question, rewards[, origin])."""
    made = [
        Group(str(place), rewards, *origin, question=question)
        for place, (question, rewards, *origin) in enumerate(groups)
    ]
    return Step(number, groups={group.uid: group for group in made})


def taken_in(one, now):
    one.begin(now)
    one.observe(now, None)
    return one.metrics(now)


def test_with_selection_it_is_a_target_alone_it_is_the_source():
    for selection, wanted in ((False, [True, False]), (True, [False, True])):
        made = run(selection=selection)
        assert [stage.enabled(made.dots, made.config) for stage in (AdaRFT, AdaRFTTarget)] == wanted
        off = run(selection=selection, enable=False)
        assert not AdaRFT.enabled(off.dots, off.config) and not AdaRFTTarget.enabled(off.dots, off.config)
    # The unit of the data is no adaptive difficulty.
    assert source().target() is None and aim().target() == 2.9 and aim().metrics(Step(1)) == {}
    assert AdaRFT.knows_questions and AdaRFTTarget.knows_questions


def test_the_questions_of_a_step_are_those_nearest_to_the_target():
    one = source()
    assert sorted(one.plan(Step(1, target=0.5)).tolist()) == [2, 3]
    assert sorted(one.plan(Step(2)).tolist()) == [2, 3]
    assert one.top_up(Step(2), 2, {2, 3}).tolist() == [4, 1]  # at distances 1.1 and 1.9
    assert sorted(source(fresh=4).plan(Step(1)).tolist()) == [1, 2, 3, 4]


@pytest.mark.parametrize("make", [source, aim])
def test_the_target_follows_the_mean_reward_of_the_new_questions(make):
    one = make()
    # Mean rewards of 1, 0.25 and 1: 0.75. Replayed ones do not count.
    now = step(
        1, (2, (1.0,)), (3, (0.0, 1.0, 0.0, 0.0), Origin.CACHED), (4, (1.0, 1.0)),
        (7, (0.0, 0.0, 0.0), Origin.REPLAYED), (2, (0.0,), Origin.REPLAYED),
    )  # fmt: skip
    figures = taken_in(one, now)
    assert figures["adarft/target"] == 2.9  # of this step
    assert figures["adarft/reward"] == 0.75
    after = 2.9 + 2 * math.tanh(2 * 0.25)
    assert taken_in(one, step(2, (2, (0.5,))))["adarft/target"] == pytest.approx(after) and after > 3.8
    assert set(figures) == declared(type(one))


@pytest.mark.parametrize("make", [source, aim])
def test_the_target_stands_where_hard_questions_have_more_rollouts_and_the_reward_is_beta(make):
    one = make(range=[0.0, 100.0], initial=50.0, eta=50.0)
    hard, easy = (0.0,) * 9 + (1.0,) * 3, (0.0,) + (1.0,) * 3  # 12 rollouts and 4: 0.25 and 0.75
    for number in (1, 2, 3):
        assert taken_in(one, step(number, (2, hard), (3, easy)))["adarft/target"] == 50.0
    # The mean over rollouts, 6 / 16, would have moved it by 50 * tanh(2 * (0.375 - 0.5)) = -12.2 a step.
    assert one.state_dict()["target"]["value"] == 50.0


@pytest.mark.parametrize("make", [source, aim])
def test_the_target_follows_what_stands_for_the_mean_of_a_group_whose_kind_stops_early(make):
    one = make()
    now = step(1, (2, (1.0, 1.0)), (3, (1.0, 1.0, 0.0, 1.0)))
    now.unbiased["1"] = 0.5
    assert taken_in(one, now)["adarft/reward"] == 0.75  # not 0.875


def test_reused_references_do_not_move_the_target():
    """They were drawn uniformly and kept because their rewards differ, whatever the target is."""
    one = aim()
    now = step(1, (2, (1.0, 1.0, 1.0, 0.0)), (5, (0.0, 0.0, 0.0, 1.0), Origin.REFERENCE))
    figures = taken_in(one, now)
    assert figures["adarft/reward"] == 0.75
    assert one.target() == pytest.approx(2.9 + 2 * math.tanh(2 * (0.75 - 0.5)))
    before = one.target()
    assert taken_in(one, step(2, (5, (0.0, 1.0), Origin.REFERENCE))) == {"adarft/target": before}
    assert one.target() == before


def test_questions_that_were_drawn_uniformly_do_not_move_the_target():
    one = aim()
    now = step(1, (2, (1.0, 1.0, 1.0, 0.0)), (5, (0.0, 0.0, 0.0, 1.0)))
    now.uniform = {5}
    assert taken_in(one, now)["adarft/reward"] == 0.75
    before = one.target()
    later = step(2, (2, (1.0, 1.0)), (5, (0.0, 1.0)))
    later.uniform = {2, 5}
    assert taken_in(one, later) == {"adarft/target": before} and one.target() == before


def test_figures_of_the_source():
    one = source(coverage=100.0)
    now = step(1, (2, (1.0,)), (5, (0.0,), Origin.REFERENCE), (7, (0.0,), Origin.REPLAYED))
    planned = [one.plan(now)]
    figures = taken_in(one, now)
    assert figures["adarft/difficulty"] == 3.5 and figures["adarft/covered"] == 2 / 8
    # With this coverage none comes again before all have had their turn.
    planned += [one.plan(Step(number)) for number in (2, 3, 4)]
    assert sorted(np.concatenate(planned)) == list(range(8))


@pytest.mark.parametrize("make", [source, aim])
def test_a_step_that_shows_nothing_new_moves_nothing_and_tells_where_the_target_stands(make):
    one = make()
    assert taken_in(one, step(1, (2, (1.0,)))).keys() >= {"adarft/target", "adarft/reward"}
    before = one.state_dict()["target"]
    assert taken_in(one, step(2, (7, (0.0,), Origin.REPLAYED))) == {"adarft/target": before["value"]}
    assert one.state_dict()["target"] == before and before["value"] > SETTINGS["initial"]


@pytest.mark.parametrize("make", [source, aim])
def test_a_schedule_rises_evenly_over_the_run(make):
    one = make(follow="schedule", initial=1.0)
    taken_in(one, step(3, (2, (1.0,))))
    assert taken_in(one, step(4, (2, (1.0,))))["adarft/target"] == pytest.approx(1 + 3 / 9 * 6)  # of 10 steps
    # It does so in steps that show nothing of the target, too.
    later = step(6, (2, (1.0,)))
    later.uniform = {2}
    assert "adarft/reward" not in taken_in(one, later)
    assert one.state_dict()["target"]["value"] == pytest.approx(1 + 6 / 9 * 6)


def test_draws_are_of_the_runs_seed_and_a_stream_of_their_own():
    for seed in (1, 2):
        order = np.random.default_rng([seed, 2504_05520]).permutation(8)
        assert source(seed=seed, follow="nothing", fresh=4).plan(Step(1)).tolist() == order[:4].tolist()


def test_a_question_without_difficulty_or_too_few_within_the_bounds_are_refused():
    with refused("dots.adarft.difficulty", "data", "rank"):
        source(difficulty="extra_info.rank")
    with pytest.raises(ValueError, match=r"1 of 8 questions .* dots.adarft.within=\(2.5, 3.5\); a step needs 2"):
        source(within=[2.5, 3.5])


@pytest.mark.parametrize(
    "make, changes", [(aim, {}), (source, {"coverage": 1.5}), (source, {"follow": "nothing", "fresh": 3})]
)
def test_a_restored_stage_is_the_same(make, changes, tmp_path):
    whole, restored = (make(damping=0.5, **changes) for _ in range(2))
    planned = [whole.plan(Step(1))] if make is source else []
    taken_in(whole, step(1, (2, (1.0, 0.0, 1.0))))
    carry_over(whole, restored, tmp_path)
    for number in (2, 3, 4):
        if make is source:
            planned.append(whole.plan(Step(number)))
            assert np.array_equal(restored.plan(Step(number)), planned[-1])
        now = step(number, (2, (0.0, 1.0)))
        assert taken_in(restored, now) == taken_in(whole, now)
    assert make is aim or len(set(map(tuple, planned))) > 1


@pytest.mark.parametrize("make, other", [(source, aim), (aim, source)])
def test_a_state_with_or_without_selection_is_not_the_others(make, other):
    state = make().state_dict()
    one = other()
    before = one.state_dict()
    with refused("dots.selection.enable", "other run"):
        one.load_state_dict(state)
    with refused("AdaRFT", "other run", "'curriculum'"):
        make().load_state_dict({"target": state["target"]})
    assert one.state_dict()["target"] == before["target"]
    with refused("fresh questions of a step", "other run", "has 2", "has 3"):
        source(fresh=3).load_state_dict(source().state_dict())
