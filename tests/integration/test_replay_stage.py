"""State and planning of replay, without Ray; rows through verl are in test_replay_end_to_end.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.integration.test_train_questions import loader, questions
from verl_dots.config import DotsConfig
from verl_dots.integration.replay_stage import STATE_FILE, ReplayStage
from verl_dots.integration.train_questions import DataloaderQuestions
from verl_dots.replay.groups import ReplayError, Response, pack
from verl_dots.state import StateError


def stage(count=6, batch_size=4, **changes):
    known = questions(count)
    dots = DotsConfig.from_mapping({"replay": {"enable": True, "capacity": 8, **changes}})
    source = DataloaderQuestions(known, loader(known, range(count)), fresh=2)
    return ReplayStage(dots, known, source, batch_size, SimpleNamespace(temperature=1.0))


def group(one, question, step=1):
    responses = [Response(np.arange(3), np.full(3, -0.5), reward) for reward in (0.0, 1.0)]
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


def test_a_saved_buffer_comes_back(tmp_path):
    one, other = stage(), stage()
    one.buffer.put([group(one, 2), group(one, 4)])
    one.save(tmp_path)
    other.load(tmp_path)
    assert len(other.buffer) == 2 and one.questions.known.ids[4] in other.buffer
    ids = [[group.question for group in which.buffer.sample(1)] for which in (one, other) for _ in range(5)]
    assert ids[:5] == ids[5:]


def test_a_missing_or_damaged_file_never_starts_an_empty_buffer(tmp_path):
    one = stage()
    with pytest.raises(StateError, match=f"there is no state file .*{STATE_FILE}"):
        one.load(tmp_path)
    one.buffer.put([group(one, 2)])
    one.save(tmp_path)
    content = bytearray((tmp_path / STATE_FILE).read_bytes())
    content[-3] ^= 1
    (tmp_path / STATE_FILE).write_bytes(content)
    with pytest.raises(StateError, match=f"{STATE_FILE} is damaged .checksum differs.; resume from an earlier"):
        stage().load(tmp_path)
    (tmp_path / STATE_FILE).write_bytes(content[:100])
    with pytest.raises(StateError, match=f"{STATE_FILE} is damaged"):
        stage().load(tmp_path)


def test_a_buffer_of_other_data_or_size_is_refused(tmp_path):
    stage().save(tmp_path)
    with pytest.raises(StateError, match="fingerprint of the training questions"):
        stage(count=5).load(tmp_path)
    with pytest.raises(StateError, match="dots.replay.capacity: the checkpoint has 8, this run has 9"):
        stage(capacity=9).load(tmp_path)
