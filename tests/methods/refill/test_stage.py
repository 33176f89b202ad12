"""Refill in a step, without Ray; through verl it is in test_end_to_end.py."""

import pytest

from tests.methods.memory import MemoryTrainer, batch, declared, make_run, put, together
from tests.refusals import refused
from verl_dots.methods.loader import DataLoader
from verl_dots.methods.refill.stage import Refill, RefillError
from verl_dots.step import Group, Origin, Step

WRONG, HALF, RIGHT = (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)


def stage(rewards=lambda question: HALF, questions=12, missing=(), **settings):
    """The stage, the data loader behind the first four questions, and what the trainer is asked for."""
    trainer = MemoryTrainer(rewards)
    run = make_run({"refill": {"enable": True, **settings}}, questions, trainer)
    trainer.order, trainer.missing = iter([*range(4, questions), *range(questions)] * 50), set(missing)
    return Refill.make(run), DataLoader.make(run), trainer


def arrived(one, source, rewards, step=None):
    """A step of questions 0 to 3; the questions that it goes on with."""
    step = step or Step(1)
    one.begin(step)
    rows = one.arrived(step, batch(step, dict(enumerate(rewards))), source)
    return [step.question_of[uid] for uid in dict.fromkeys(rows.uids)]


def test_groups_that_teach_nothing_give_way_to_the_sources_next_questions(queue):
    one, source, trainer = stage(lambda question: WRONG if question == 5 else HALF)
    step = Step(1)
    assert arrived(one, source, (HALF, WRONG, RIGHT, HALF), step) == [0, 3, 4, 6]
    assert trainer.more == [[4, 5], [6]]
    # What they have shown stays in the step; their rows of 1 and 2 tokens have left the queue.
    assert [(group.question, group.rewards) for group in step.dropped] == [(1, WRONG), (2, RIGHT), (5, WRONG)]
    assert (step.other_tokens, step.other_rollouts) == (9, 6)
    assert {key.split("_")[0] for key in queue.tags["train"]} == {
        uid for uid, question in step.question_of.items() if question in (0, 3, 4, 6)
    }
    figures = one.metrics(step)
    assert figures == {
        "refill/rounds": 2.0, "refill/dropped_groups": 3.0, "refill/dropped_tokens": 9.0, "refill/stayed": 4 / 7,
        "refill/missing_groups": 0.0,
    }  # fmt: skip
    assert set(figures) == declared(Refill)


def test_learners_see_dropped_groups_and_the_trained_batch_is_told_apart():
    one, source, _ = stage()
    step = Step(1)
    one.begin(step)
    rows = one.arrived(step, batch(step, {0: HALF, 1: WRONG, 2: HALF, 3: HALF}), source)
    step.groups = rows.groups(step.question_of)
    assert [group.question for group in step.new] == [0, 2, 3, 4, 1]
    assert [group.question for group in step.new_in_batch] == [0, 2, 3, 4]


def test_where_every_group_stays_nothing_happens():
    one, source, trainer = stage(within=(0, 1))
    assert arrived(one, source, (HALF, WRONG, RIGHT, HALF), step := Step(1)) == [0, 1, 2, 3]
    assert trainer.more == [] == step.dropped and one.metrics(step)["refill/rounds"] == 0 == step.other_tokens


def test_the_band_decides():
    one, source, trainer = stage(lambda question: (0.0, 0.0, 0.0, 1.0), within=(0.2, 0.3))
    assert arrived(one, source, ((0.0, 0.0, 0.0, 1.0), HALF, RIGHT, (0.0, 0.0, 0.0, 1.0))) == [0, 3, 4, 5]
    assert trainer.more == [[4, 5]]


def test_failed_groups_are_replaced_too():
    one, source, trainer = stage(missing=(5,))
    step = Step(1, question_of={"failed": 3})
    one.begin(step)
    rows = one.arrived(step, batch(step, {0: HALF, 1: WRONG, 2: HALF}), source)
    assert trainer.more == [[4, 5], [6]] and len(set(rows.uids)) == 4
    assert one.metrics(step)["refill/dropped_groups"] == 1


def test_kept_groups_are_not_judged_and_references_are():
    one, source, trainer = stage()
    step = Step(2)
    one.begin(step)
    stored = put(step, "stored", WRONG, origin=Origin.REPLAYED, sampled=1)
    reference = put(step, "reference", RIGHT, origin=Origin.REFERENCE)
    step.question_of |= {"stored": 8, "reference": 4}
    rows = one.arrived(step, together(stored, reference, batch(step, {0: HALF, 1: HALF})), source)
    assert trainer.more == [[5]] and "stored" in rows.uids and "reference" not in rows.uids
    assert [(group.question, group.origin) for group in step.dropped] == [(4, Origin.REFERENCE)]


def test_at_the_limit_the_step_trains_on_what_is_there(caplog):
    one, source, trainer = stage(lambda question: WRONG, max_rounds=2)
    assert arrived(one, source, (HALF, WRONG, RIGHT, HALF), step := Step(3)) == [0, 3]
    assert trainer.more == [[4, 5], [6, 7]] and "step 3: after 2 further rounds of rollouts 2 of 4" in caplog.text
    assert len(step.dropped) == 6 and one.metrics(step)["refill/missing_groups"] == 2


def test_at_the_limit_it_raises_where_that_is_asked_for():
    one, source, _ = stage(lambda question: WRONG, max_rounds=2, at_the_limit="raise")
    with refused("dots.refill.max_rounds", "size", "step 3", "2 of 4", kind=RefillError):
        arrived(one, source, (HALF, WRONG, RIGHT, HALF), Step(3))


def test_groups_that_another_stage_has_given_up_are_not_counted_as_refills():
    one, source, _ = stage()
    step = Step(1)
    step.dropped = [Group("stopped", WRONG)]
    arrived(one, source, (HALF, WRONG, HALF, HALF), step)
    figures = one.metrics(step)
    assert figures["refill/dropped_groups"] == 1 and figures["refill/dropped_tokens"] == 3
    assert figures["refill/stayed"] == 4 / 6  # of all groups that were rolled out


def test_more_groups_than_a_batch_has_miss_none():
    """Where stopping early saves large groups, more questions than stop can be rolled out."""
    one, source, trainer = stage(at_the_limit="raise")
    assert arrived(one, source, [HALF] * 5, step := Step(1)) == [0, 1, 2, 3, 4]
    assert trainer.more == [] and one.metrics(step)["refill/missing_groups"] == 0


def test_where_none_stays_the_last_ones_do():
    one, source, trainer = stage(lambda question: WRONG, max_rounds=1)
    assert arrived(one, source, (WRONG, WRONG, RIGHT, RIGHT), step := Step(1)) == [4, 5, 6, 7]
    assert len(step.dropped) == 4 and one.metrics(step)["refill/missing_groups"] == 4


def test_no_question_comes_twice_and_the_data_may_have_no_more():
    one, source, trainer = stage(lambda question: WRONG, questions=6)
    assert arrived(one, source, (HALF, WRONG, WRONG, WRONG)) == [0]
    assert trainer.more == [[4, 5]]
    one, source, trainer = stage(lambda question: WRONG, questions=4)
    assert arrived(one, source, (HALF, WRONG, WRONG, WRONG)) == [0] and trainer.more == []


def refuse(verls=None, **dots):
    run = make_run({"refill": {"enable": True}} | dots, trainer__v1__trainer_mode="dots", **(verls or {}))
    Refill.refuse(run.config, run.dots)


@pytest.mark.parametrize(
    ("key", "value", "more"),
    [
        ("algorithm.filter_groups.enable", True, {}),
        ("data.gen_batch_size", 8, {}),
        ("actor_rollout_ref.rollout.n", 1, {}),
        ("reward.reward_model.enable", True, {}),
        ("dots.budget.least", None, {"budget": {"enable": True, "least": 1}}),
        ("dots.preemptive.enable", None, {"preemptive": {"enable": True, "prompts": 8}}),
    ],
)
def test_what_has_no_groups_or_cannot_lack_any_is_refused(key, value, more):
    verls = {key.replace(".", "__"): value} if value is not None else {}
    with refused(key, "excluded"):
        refuse(verls, **more)
    refuse(verls, **more, refill={"enable": False})


def test_it_goes_with_the_other_methods_and_remembers_nothing():
    refuse(preemptive={"enable": True}, budget={"enable": True}, replay={"enable": True}, mopps={"enable": True})
    refuse({"reward__reward_model__enable": True, "reward__reward_model__enable_resource_pool": True})
    assert stage()[0].state_dict() is None and Refill.knows_questions and Refill.unequal_groups


def test_a_step_with_mini_batches_of_unequal_size_is_refused():
    with refused("data.train_batch_size", "size"):
        refuse({"actor_rollout_ref__actor__ppo_mini_batch_size": 3})
