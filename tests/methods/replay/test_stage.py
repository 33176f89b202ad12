"""Replay in a step, without Ray; rows through verl are in test_end_to_end.py."""

import numpy as np

from tests.methods.memory import make_run
from verl_dots.methods.loader import DataLoader
from verl_dots.methods.replay.stage import Replay
from verl_dots.step import Step
from verl_dots.stored import Response, pack


def stage(questions=6, **changes):
    dots = {"replay": {"enable": True, "capacity": 8, **changes}}
    run = make_run(dots, questions, fresh=2)
    return Replay.make(run), DataLoader.make(run)


def group(one, question, step=1, rewards=(0.0, 1.0)):
    responses = [Response(np.arange(3), np.full(3, -0.5), reward) for reward in rewards]
    return pack(one.run.questions.known.ids[question], step, 1.0, np.array([7]), responses)


def asked(one, source, step):
    return [questions.tolist() for questions in one.fill(step, source)]


def test_an_empty_buffer_is_topped_up_with_fresh_questions():
    one, source = stage()
    assert asked(one, source, step := Step(1)) == [[0, 1, 2, 3]]
    assert one.metrics(step)["replay/share"] == 0 and one.metrics(step)["replay/topped_up_groups"] == 2


def test_references_count_as_part_of_the_batch():
    one, source = stage()
    assert asked(one, source, Step(1, question_of={"reference": 5})) == [[0, 1, 2]]


def test_kept_groups_come_back_as_replayed_rows_of_the_step(queue):
    one, source = stage()
    one.buffer.put([group(one, 4), group(one, 5), group(one, 0)])
    assert asked(one, source, step := Step(3)) == [[0, 1]]
    assert sorted(step.question_of.values()) == [4, 5]
    tags = [tag for tag in queue.tags["train"].values() if not tag.get("is_prompt")]
    assert {(tag["origin"], tag["global_steps"], tag["temperature"]) for tag in tags} == {("replayed", 1, 1.0)}
    figures = one.metrics(step)
    assert figures["replay/share"] == 0.5 and figures["replay/age/mean"] == 2 == figures["replay/age/max"]
    assert figures["replay/tokens_not_generated"] == 12
