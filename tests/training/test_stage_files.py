"""Files of stages in a checkpoint: written, read back, and refused."""

import numpy as np
import pytest

from tests.methods.replay.test_stage import group, stage
from verl_dots.state import StateError, save_state
from verl_dots.training.stage_files import load_stages, save_stages

FILE = "replay.safetensors"


def save(folder, one):
    save_stages(folder, {"replay": one}, one.questions.known.fingerprint)


def load(folder, one):
    load_stages(folder, {"replay": one}, one.questions.known.fingerprint)


def test_a_stage_has_its_state_back(tmp_path):
    one, other = stage(), stage()
    one.buffer.put([group(one, 2), group(one, 4)])
    save(tmp_path, one)
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    load(tmp_path, other)
    assert len(other.buffer) == 2 and one.questions.known.ids[4] in other.buffer


def test_a_missing_or_damaged_file_never_starts_an_empty_buffer(tmp_path):
    one = stage()
    with pytest.raises(StateError, match=f"there is no state file .*{FILE}"):
        load(tmp_path, one)
    one.buffer.put([group(one, 2)])
    save(tmp_path, one)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[-3] ^= 1
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StateError, match=f"{FILE} is damaged .checksum differs.; resume from an earlier"):
        load(tmp_path, stage())
    (tmp_path / FILE).write_bytes(content[:100])
    with pytest.raises(StateError, match=f"{FILE} is damaged"):
        load(tmp_path, stage())


def test_a_buffer_of_other_data_or_size_is_refused(tmp_path):
    save(tmp_path, stage())
    with pytest.raises(StateError, match="fingerprint of the training questions"):
        load(tmp_path, stage(count=5))
    with pytest.raises(StateError, match="dots.replay.capacity: the checkpoint has 8, this run has 9"):
        load(tmp_path, stage(capacity=9))


def test_a_stage_that_is_turned_off_is_not_forgotten_in_silence(tmp_path):
    save(tmp_path, stage())
    with pytest.raises(StateError, match="is of a run with dots.replay.enable=True, this one has False"):
        load_stages(tmp_path, {}, None)


def test_nothing_is_taken_over_when_one_file_of_several_is_refused(tmp_path):
    one, other = stage(), stage()
    one.buffer.put([group(one, 2)])
    save(tmp_path, one)
    save_state(tmp_path / "temperature.safetensors", "temperature", {"state": {}, "more": np.zeros(1)})
    with pytest.raises(StateError, match="temperature.safetensors: the checkpoint lacks .'questions'."):
        load_stages(tmp_path, {"replay": other, "temperature": stage()}, one.questions.known.fingerprint)
    assert len(other.buffer) == 0
