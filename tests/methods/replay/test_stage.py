"""State and planning of replay, without Ray; rows through verl are in test_replay_end_to_end.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.bridge.test_questions import loader, questions
from verl_dots.bridge.questions import DataloaderQuestions
from verl_dots.config import DotsConfig
from verl_dots.methods.replay.stage import ReplayStage
from verl_dots.stored import ReplayError, Response, pack


def stage(count=6, batch_size=4, target=lambda: 0.5, **changes):
    known = questions(count)
    dots = DotsConfig.from_mapping({"replay": {"enable": True, "capacity": 8, **changes}})
    source = DataloaderQuestions(known, loader(known, range(count)), fresh=2)
    return ReplayStage(dots, known, source, batch_size, SimpleNamespace(temperature=1.0), target)


def group(one, question, step=1, rewards=(0.0, 1.0)):
    responses = [Response(np.arange(3), np.full(3, -0.5), reward) for reward in rewards]
    return pack(one.questions.known.ids[question], step, 1.0, np.array([7]), responses)


def test_an_empty_buffer_is_topped_up_with_fresh_questions():
    one = stage()
    assert one.next_questions(1, []).tolist() == [0, 1, 2, 3]
    assert one.metrics["replay/share"] == 0 and one.metrics["replay/topped_up_groups"] == 2


def test_reused_rollouts_count_as_part_of_the_batch():
    one = stage()
    assert one.next_questions(1, [5]).tolist() == [0, 1, 2]


def test_a_batch_that_cannot_be_filled_is_an_error_not_a_short_batch():
    one = stage(count=3)
    with pytest.raises(ReplayError, match="a batch of 4 different questions cannot be filled from 3"):
        one.next_questions(1, [])


def test_the_nearest_groups_are_those_at_the_target_of_the_moment():
    target = [0.75]
    one = stage(target=lambda: target[0], sampling="nearest")
    one.buffer.put([group(one, 2, rewards=(0, 0, 0, 1)), group(one, 4, rewards=(0, 1, 1, 1))])
    assert [kept.question for kept in one.buffer.sample(1)] == [one.questions.known.ids[2]]
    target[0] = 0.25
    assert [kept.question for kept in one.buffer.sample(1)] == [one.questions.known.ids[4]]


def test_a_saved_buffer_comes_back():
    one, other = stage(), stage()
    one.buffer.put([group(one, 2), group(one, 4)])
    other.load_state_dict(one.state_dict())
    assert len(other.buffer) == 2 and one.questions.known.ids[4] in other.buffer
    ids = [[group.question for group in which.buffer.sample(1)] for which in (one, other) for _ in range(5)]
    assert ids[:5] == ids[5:]
