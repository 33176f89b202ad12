"""Files of stages in a checkpoint: written, read back, and refused."""

import numpy as np
import pytest

from tests.methods.memory import make_run
from verl_dots.methods.e3.stages import Budget, LengthPenalty
from verl_dots.methods.loader import DataLoader
from verl_dots.state import StateError, save_state
from verl_dots.step import Group, Step
from verl_dots.training.stage_files import load_stages, save_stages

FILE = "length_penalty.safetensors"


def stages(questions=4):
    """A stage that remembers nothing, and two that do."""
    run = make_run({"budget": {"enable": True, "least": 1}, "length_penalty": {"enable": True}}, questions)
    return [DataLoader.make(run), Budget.make(run), LengthPenalty.make(run)]


def seen(made):
    return made[2].seen.rollouts


@pytest.fixture
def saved(tmp_path):
    """A folder with the state of a step."""
    made = stages()
    for one in made:
        one.observe(Step(1, groups={"a": Group("a", (0.0, 1.0), question=3)}), None)
    save_stages(tmp_path, made, "questions")
    return tmp_path


def test_stages_have_their_states_back(saved):
    assert sorted(file.name for file in saved.iterdir()) == ["budget.safetensors", FILE]
    load_stages(saved, made := stages(), "questions")
    assert seen(made) == 2 and made[2].seen.mean_P[3] == 0.5 and made[1].budget._rewards.rollouts == 2


def test_a_missing_or_damaged_file_never_begins_anew(saved):
    content = bytearray((saved / FILE).read_bytes())
    content[-3] ^= 1
    (saved / FILE).write_bytes(content)
    with pytest.raises(StateError, match=f"{FILE} is damaged .checksum differs.; resume from an earlier"):
        load_stages(saved, stages(), "questions")
    (saved / FILE).write_bytes(content[:100])
    with pytest.raises(StateError, match=f"{FILE} is damaged"):
        load_stages(saved, stages(), "questions")
    (saved / FILE).unlink()
    with pytest.raises(StateError, match=f"there is no state file .*{FILE}"):
        load_stages(saved, stages(), "questions")


def test_states_of_other_data_are_refused(saved):
    for other in ("others", None):
        with pytest.raises(StateError, match="fingerprint of the training questions: the checkpoint has 'questions'"):
            load_stages(saved, stages(), other)
    with pytest.raises(StateError, match="questions with a reward: the checkpoint has 4, this run has 5"):
        load_stages(saved, stages(5), "questions")


def test_a_stage_that_is_turned_off_is_not_forgotten_in_silence(saved):
    with pytest.raises(StateError, match="is of a run with dots.length_penalty.enable=True, this one has False"):
        load_stages(saved, stages()[:2], "questions")


def test_nothing_is_taken_over_when_one_file_of_several_is_refused(saved):
    for content, message in (
        ({"state": {}, "more": np.zeros(1)}, f"{FILE}: the checkpoint lacks .'questions'."),
        ({"state": {}, "questions": "others"}, "fingerprint of the training questions"),
    ):
        save_state(saved / FILE, "length_penalty", content)
        with pytest.raises(StateError, match=message):
            load_stages(saved, made := stages(), "questions")
        assert made[1].budget._rewards.rollouts == 0
