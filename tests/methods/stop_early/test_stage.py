"""Stopping early in a step, without Ray; through verl it is in test_end_to_end.py."""

import numpy as np
import pytest

from tests.methods.memory import MemoryTrainer, declared, make_run, put, together
from tests.refusals import refused
from verl_dots.methods.loader import DataLoader
from verl_dots.methods.stop_early.stage import StopEarly
from verl_dots.step import Origin, Step

WRONG, HALF, RIGHT, LATE = (0.0,) * 4, (0.0, 1.0) * 2, (1.0,) * 4, (0.0, 0.0, 1.0, 1.0)
MANAGER = "actor_rollout_ref__rollout__agent__agent_loop_manager_class"
PREDICTED = {0: 0.5, 1: 0.9, 2: 0.1, 3: 0.5}


def stage(rewards, **settings):
    """The stage with groups of 4, two rollouts first, the data loader behind questions 0 to 3, and the trainer."""
    trainer = MemoryTrainer(lambda question: rewards.get(question, HALF))
    own = {"enable": True, "audit": 0.0, "confidence": 0.9, "strength": 1.0}
    dots = {"stop_early": own | settings, "selection": {"enable": True}}
    run = make_run(dots, 12, trainer, actor_rollout_ref__rollout__n=4)
    trainer.order = iter([*range(4, 12), *range(12)] * 50)
    return StopEarly.make(run), DataLoader.make(run), trainer


def arrived(one, source, rewards, step=None, predicted=PREDICTED, more=()):
    """A step of the questions with these rewards; the questions that it trains on, with the rollouts of each."""
    step = step or Step(1)
    one.begin(step)
    step.predicted = predicted
    uids = [step.name("prompt", place) for place in range(len(rewards))]
    step.question_of |= dict(zip(uids, rewards, strict=True))
    assert one.first_sizes(step, uids, np.full(len(uids), 4)).tolist() == [2] * len(uids)
    parts = [put(step, uid, of_question[:2]) for uid, of_question in zip(uids, rewards.values(), strict=True)]
    rows = one.arrived(step, together(*parts, *more), source)
    groups = rows.groups(step.question_of)
    return {group.question: group.rewards for group in groups.values()}


def test_groups_that_agree_with_their_prediction_stop_and_others_go_first(queue):
    rewards = {0: HALF, 1: WRONG, 2: RIGHT, 3: LATE}
    one, source, trainer = stage(rewards)
    step = Step(1)
    # Two of four rollouts of questions 1 and 2 are saved: enough for question 4, all of it at once.
    assert arrived(one, source, rewards, step) == {0: HALF, 3: LATE, 4: HALF}
    assert sorted(trainer.whole.values()) == [4, 4] and trainer.more == [[4]]
    assert [(group.question, group.rewards) for group in step.dropped] == [(1, WRONG[:2]), (2, RIGHT[:2])]
    assert (step.other_tokens, step.other_rollouts) == (6, 4)  # rollouts of 1 and 2 tokens, twice
    assert {key.split("_")[0] for key in queue.tags["train"]} == {
        uid for uid, question in step.question_of.items() if question in (0, 3, 4)
    }
    # Beta(0.1, 0.9) after two: 2.9 / 3 * 3.9 / 4 of the groups would have been alike.
    figures = one.metrics(step)
    assert figures == pytest.approx({
        "stop_early/stopped": 0.5, "stop_early/saved": 0.25, "stop_early/further_groups": 1,
        "stop_early/dropped_tokens": 6, "stop_early/expected_false_stops": 1 - 2.9 * 3.9 / 12, "stop_early/audited": 0,
    })  # fmt: skip
    assert set(figures) | {"stop_early/false_stops"} == declared(StopEarly)


def test_without_a_prediction_or_with_one_that_contradicts_nothing_stops():
    rewards = {0: WRONG, 1: RIGHT, 2: WRONG, 3: RIGHT}
    for predicted in ({}, PREDICTED):
        one, source, trainer = stage(rewards)
        assert arrived(one, source, rewards, step := Step(1), predicted) == rewards
        assert trainer.more == [[]] and step.dropped == [] and one.metrics(step)["stop_early/saved"] == 0


def test_what_is_audited_is_rolled_out_and_tells_false_stops():
    rewards = {0: HALF, 1: LATE, 2: RIGHT, 3: HALF}
    one, source, _ = stage(rewards, audit=1.0)
    assert arrived(one, source, rewards, step := Step(1)) == rewards
    figures = one.metrics(step)
    assert figures["stop_early/audited"] == 2 and figures["stop_early/false_stops"] == 0.5
    assert figures["stop_early/stopped"] == 0 == figures["stop_early/saved"]


def test_completed_groups_stand_for_those_that_stopped_in_the_steps_mean_reward():
    # The predictions would have stopped two wrong rollouts of question 1 and two right ones of 2, none of 0 and 3.
    three, one_right = (1.0, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, 0.0)
    rewards = {0: HALF, 1: one_right, 2: (1.0, 0.0, 1.0, 1.0), 3: three}
    one, source, _ = stage(rewards)
    assert arrived(one, source, rewards, step := Step(1)) == rewards
    # 3 of 4 right, 2 first: C(3, 2) / C(4, 2) = 1/2. (3/4 - 1/2) / (1 - 1/2); 1 of 4 right, 3 wrong: 1/4 / (1/2).
    by_question = {step.question_of[uid]: mean for uid, mean in step.unbiased.items()}
    assert by_question == pytest.approx({1: 0.5, 2: 0.5})


def test_the_audit_is_a_draw_of_the_step_alone():
    def audited(step):
        one, source, _ = stage({}, audit=0.5)
        return sorted(arrived(one, source, dict.fromkeys(range(4), WRONG), Step(step), dict.fromkeys(range(4), 1.0)))

    found = [audited(step) for step in range(1, 9)]
    assert found == [audited(step) for step in range(1, 9)] and len({tuple(questions) for questions in found}) > 2


def test_saved_rollouts_can_be_left_unspent():
    rewards = {0: HALF, 1: WRONG, 2: RIGHT, 3: HALF}
    one, source, trainer = stage(rewards, elsewhere=False)
    assert arrived(one, source, rewards) == {0: HALF, 3: HALF} and trainer.more == [[]]


def test_a_step_of_which_all_stop_trains_on_further_questions_or_on_what_is_there():
    rewards, predicted = dict.fromkeys(range(4), WRONG), dict.fromkeys(range(4), 1.0)
    one, source, _ = stage(rewards)
    assert arrived(one, source, rewards, predicted=predicted) == {4: HALF, 5: HALF}
    one, source, _ = stage(rewards, elsewhere=False)
    step = Step(1)
    assert arrived(one, source, rewards, step, predicted) == {question: WRONG[:2] for question in range(4)}
    assert step.dropped == [] and step.other_tokens == 0


def test_groups_of_which_the_rest_fails_are_gone_and_kept_ones_are_not_judged():
    rewards = {0: HALF, 1: WRONG, 3: HALF}
    one, source, trainer = stage(rewards)
    trainer.missing = {3}
    step = Step(2)
    stored = put(step, "stored", WRONG, origin=Origin.REPLAYED, sampled=1)
    reference = put(step, "reference", RIGHT, origin=Origin.REFERENCE)
    step.question_of |= {"stored": 8, "reference": 9}
    assert arrived(one, source, rewards, step, {**PREDICTED, 8: 1.0, 9: 0.0}, (stored, reference)) == {
        0: HALF, 8: WRONG, 9: RIGHT,
    }  # fmt: skip


def refuse(verls=None, **dots):
    own = {"stop_early": {"enable": True}, "mopps": {"enable": True}} | dots
    known = {MANAGER: "verl_dots.bridge.agents.agent_loop.SeededAgentLoopManager", "actor_rollout_ref__rollout__n": 4}
    run = make_run(own, trainer__v1__trainer_mode="dots", **known | (verls or {}))
    StopEarly.refuse(run.config, run.dots)


def test_what_predicts_nothing_or_leaves_nothing_to_save_is_refused():
    refuse()
    with refused("dots.selection.enable", "excluded"):
        refuse(mopps={"enable": False})
    with refused("actor_rollout_ref.rollout.n", "excluded", "set it to 10 or more, or lower"):
        refuse(stop_early={"enable": True, "first": 0.9})
    with refused("actor_rollout_ref.rollout.n", "excluded", "set it to 3 or more"):
        refuse({"actor_rollout_ref__rollout__n": 2})
    with refused("actor_rollout_ref.rollout.agent.agent_loop_manager_class", "excluded"):
        refuse(
            {MANAGER: "verl.trainer.ppo.v1.agent_loop_tq.AgentLoopManagerTQ"}
        )  # second parts would replace the first
    with refused("dots.preemptive.enable", "excluded"):
        refuse(preemptive={"enable": True, "prompts": 8})
    with refused("algorithm.filter_groups.enable", "excluded"):
        refuse({"algorithm__filter_groups__enable": True})
    refuse({"algorithm__filter_groups__enable": True}, stop_early={"enable": False})


@pytest.mark.parametrize(
    ("name", "value"), [("first", 0), ("first", 1), ("confidence", 0.4), ("strength", 0), ("audit", 1.5)]
)
def test_settings_out_of_range_are_refused(name, value):
    with refused(f"dots.stop_early.{name}"):
        refuse(stop_early={"enable": True, name: value})
