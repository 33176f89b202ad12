"""Rollouts of several steps sampled at once, without Ray: forward passes give -0.25 a token, the engine gave -0.5."""

from types import SimpleNamespace

import pytest

from tests.methods.memory import batch, declared, make_run
from tests.refusals import refused
from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.queue.rows import Rows
from verl_dots.methods.dash.cache import RolloutCache
from verl_dots.methods.dash.preemptive_stage import Preemptive
from verl_dots.methods.loader import DataLoader
from verl_dots.step import Origin, Step
from verl_dots.training.trainer import DotsTrainer


def stage(prompts=8, updates=None, behaviour="recomputed", **more):
    """Batches of 4 questions; by default 2 of them are sampled at once, and each is trained on once."""
    dots = {"preemptive": {"enable": True, "prompts": prompts, "updates": updates}, "loss": {"behaviour": behaviour}}
    run = make_run(dots, questions=16, **more)
    return Preemptive.make(run), DataLoader.make(run)


def fill(one, source, step):
    return [questions.tolist() for questions in one.fill(step, source)]


def sample(one, source, step, failed=()):
    """Roll out what a step asks for, 2 rollouts of 1 and 2 tokens each; all rows of it."""
    planned = fill(one, source, step)
    rows = batch(step, {question: (0.0, 1.0) for question in sum(planned, []) if question not in failed})
    number_of = {question: number for number, of_batch in enumerate(planned) for question in of_batch}
    step.batch_of = {uid: number_of[question] for uid, question in step.question_of.items()}
    return rows


def questions(step):
    return list(step.question_of.values())


def origins(queue):
    """Origin, and step that sampled it, of what lies in the train partition."""
    tags = [tag for tag in queue.tags["train"].values() if not tag.get("is_prompt")]
    return {(tag.get("origin"), tag["global_steps"]) for tag in tags}


def test_the_step_that_samples_trains_on_the_first_batch_and_later_ones_on_the_others(queue):
    one, source = stage(prompts=12)
    rows = sample(one, source, step := Step(1))
    assert questions(step) == list(range(12))
    left = one.sampled(step, rows)
    assert left.keys == rows.keys[:8] == list(queue.tags["train"])
    for number, batch_of in ((2, [4, 5, 6, 7]), (3, [8, 9, 10, 11])):
        queue.tags["train"].clear()
        assert fill(one, source, later := Step(number)) == [] and questions(later) == batch_of
        assert origins(queue) == {("cached", 1)}
    assert fill(one, source, Step(4)) == [[12, 13, 14, 15], [0, 1, 2, 3], [4, 5, 6, 7]]


def test_an_empty_cache_is_due_at_once():
    cache = RolloutCache(1)
    assert cache.due and cache.groups == 0
    with pytest.raises(RuntimeError, match="all that was sampled has been used"):
        cache.take()
    with pytest.raises(ValueError, match="passes=0"):
        RolloutCache(0)


def test_in_later_passes_the_batches_come_again_as_replayed(queue):
    one, source = stage(updates=4)
    rows = one.sampled(first := Step(1), sample(one, source, first))
    one.run.trainer.forward("old_log_probs", rows, {})
    one.observe(first, rows)
    found = []
    for number in (2, 3, 4):
        queue.tags["train"].clear()
        fill(one, source, step := Step(number))
        one.observe(step, rows)  # of rows that no batch was sampled for
        found.append((questions(step), origins(queue), one.metrics(step)["preemptive/cached_groups"]))
    assert found == [
        ([4, 5, 6, 7], {("cached", 1)}, 8),
        ([0, 1, 2, 3], {("replayed", 1)}, 4),
        ([4, 5, 6, 7], {("replayed", 1)}, 0),
    ]
    assert len(fill(one, source, Step(5))) == 2


def test_the_steps_own_batch_is_kept_only_for_further_passes():
    one, source = stage()
    rows = one.sampled(step := Step(1), sample(one, source, step))
    one.observe(step, rows)  # there are no log-probs of theirs, and nothing asks for them
    assert one.metrics(step)["preemptive/cached_groups"] == 4


@pytest.mark.parametrize(
    ("behaviour", "forwarded", "log_prob"), [("recomputed", ["4", "5", "6", "7"], -0.25), ("engine", [], -0.5)]
)
def test_log_probs_of_what_is_sampled_ahead_are_those_of_the_policy_that_sampled_it(behaviour, forwarded, log_prob):
    one, source = stage(behaviour=behaviour)
    one.sampled(step := Step(1), sample(one, source, step))
    found = [key for field, keys in one.run.trainer.forwarded for key in keys if field == "old_log_probs"]
    assert sorted({key.split("_")[0][-1] for key in found}) == forwarded and len(found) == 2 * len(forwarded)
    assert (step.timing.get("old_log_prob", 0) > 0) == bool(forwarded)
    groups, again = one.cache.take()
    assert not again and {float(value) for group in groups for value in group.log_probs_N} == {log_prob}
    assert [group.question for group in groups] == list(one.run.questions.known.ids[4:8])


def test_a_forward_pass_ahead_is_filled_up_for_all_ranks():
    micro = {"log_prob_use_dynamic_bsz": False, "log_prob_micro_batch_size_per_gpu": 5}
    one, source = stage(ranks=2, **{f"actor_rollout_ref__rollout__{name}": value for name, value in micro.items()})
    one.sampled(step := Step(1), sample(one, source, step))
    ((_, keys),) = one.run.trainer.forwarded
    assert len(set(keys)) == 10  # 8 rows ahead and 2 more: 2 ranks of 5


def test_tokens_that_are_sampled_ahead_are_not_the_steps():
    one, source = stage(prompts=12)
    one.sampled(step := Step(1, other_tokens=5), sample(one, source, step))
    # 8 groups of 1 + 2 tokens.
    assert (step.other_tokens, step.other_rollouts) == (5 + 24, 2 * 8)
    expected = {"preemptive/sampled_groups": 12, "preemptive/tokens_ahead": 24, "preemptive/cached_groups": 8}
    assert one.metrics(step) == expected and set(expected) == declared(Preemptive)
    fill(one, source, later := Step(2))
    assert one.metrics(later) == {"preemptive/sampled_groups": 0, "preemptive/cached_groups": 4}


def test_no_more_is_sampled_than_the_run_will_use():
    for number, batches in ((3, 4), (4, 3)):  # step 3: for 3, 4, 5 and 6
        assert len(fill(*stage(prompts=16, steps=6), Step(number))) == batches
    one, source = stage(steps=6)
    rows = sample(one, source, last := Step(6))
    assert questions(last) == [0, 1, 2, 3] and one.sampled(last, rows) is rows
    assert last.other_tokens == 0 and one.run.trainer.forwarded == []
    one.observe(last, rows)
    assert one.metrics(last) == {"preemptive/sampled_groups": 4, "preemptive/cached_groups": 0}


def test_a_step_of_kept_rollouts_trains_on_all_its_rows():
    one, source = stage()
    one.sampled(first := Step(1), sample(one, source, first))
    fill(one, source, step := Step(2))
    rows = batch(Step(2), {4: (0.0, 1.0)}, origin=Origin.CACHED)
    assert one.sampled(step, rows) is rows


def test_a_batch_without_a_complete_group_is_a_failure_of_the_step():
    one, source = stage(prompts=12)
    rows = sample(one, source, step := Step(1), failed=(4, 5, 6, 7))
    with pytest.raises(RolloutFailure, match="no group of 1. batch that was sampled ahead is complete"):
        one.sampled(step, rows)
    one, source = stage()
    rows = sample(one, source, step := Step(1), failed=(1, 4, 6))
    assert len(one.sampled(step, rows)) == 6
    fill(one, source, later := Step(2))
    assert questions(later) == [5, 7]


@pytest.mark.parametrize("used", [1, 2, 3, 4])
def test_a_restored_cache_gives_what_the_saved_one_gives(queue, used):
    (one, source), (other, same) = stage(updates=4), stage(updates=4)
    rows = one.sampled(first := Step(1), sample(one, source, first))
    one.run.trainer.forward("old_log_probs", rows, {})
    one.observe(first, rows)
    for number in range(2, used + 1):
        fill(one, source, Step(number))
    other.load_state_dict(one.state_dict())
    for _ in range(8):  # what the loader has given
        same.run.trainer.next_question()
    found = []
    for which, questions_of in ((one, source), (other, same)):
        steps = [Step(number) for number in range(used + 1, 6)]
        found.append([(fill(which, questions_of, step), step.question_of) for step in steps])
    assert found[0] == found[1]
    with refused("steps for each batch of dots.preemptive", "other run"):
        stage()[0].load_state_dict(one.state_dict())
    with refused("rollout cache", "other run"):
        one.load_state_dict({"passes": 2})


def test_which_runs_sample_ahead_and_what_they_need():
    def on(**settings):
        run = make_run({"preemptive": settings})
        return Preemptive.enabled(run.dots, run.config)

    assert not on(enable=True) and not on(prompts=8) and on(enable=True, prompts=8) and on(enable=True, updates=2)
    assert Preemptive.fresh(make_run({}).dots, 4) == 4
    assert Preemptive.knows_questions and Preemptive.unequal_groups
    run = stage()[0].run
    with refused("trainer.v1.trainer_mode"):  # without the trainer "dots"
        Preemptive.refuse(run.config, run.dots)
    with pytest.raises(ValueError, match="dots.preemptive.enable=True keeps text alone"):
        stage(text_only=False)


def test_a_cached_batch_that_lost_groups_has_unequal_ones_in_the_step_that_trains_on_it(queue):
    one, source = stage()
    one.sampled(step := Step(1), sample(one, source, step, failed=(5, 6, 7)))
    queue.tags["train"].clear()
    fill(one, source, Step(2))
    tags = queue.tags["train"]
    keys = [key for key, tag in tags.items() if not tag.get("is_prompt")]
    rows = Rows.of(keys, [tags[key] for key in keys])
    trainer = SimpleNamespace(config=one.run.config, pipeline=SimpleNamespace(unequal_groups=one.unequal_groups))
    assert len(rows) == 2 and DotsTrainer.has_unequal_groups(trainer, rows, {"training/dropped_groups": 0.0})
