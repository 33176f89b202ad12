"""Files of stages in a checkpoint: written, read back, and refused."""

import numpy as np
import pytest

from tests.methods.memory import make_run
from tests.refusals import refused
from verl_dots.methods.e3.stages import Budget, LengthPenalty
from verl_dots.methods.loader import DataLoader
from verl_dots.state import save_state
from verl_dots.step import Group, Step
from verl_dots.training.pipeline import Pipeline
from verl_dots.training.stage_files import load_stages, save_states, states_of

FILE = "length_penalty.safetensors"


def stages(questions=4):
    """A stage that remembers nothing, and two that do."""
    run = make_run({"budget": {"enable": True, "least": 1}, "length_penalty": {"enable": True}}, questions)
    return [DataLoader.make(run), Budget.make(run), LengthPenalty.make(run)]


@pytest.fixture
def saved(tmp_path):
    """A folder with the state of a step."""
    made = stages()
    for one in made:
        one.observe(Step(1, groups={"a": Group("a", (0.0, 1.0), question=3)}), None)
    save_states(tmp_path, states_of(made), "questions")
    return tmp_path


def test_stages_have_their_states_back(saved):
    assert sorted(file.name for file in saved.iterdir()) == ["budget.safetensors", FILE]
    load_stages(saved, made := stages(), "questions")
    assert made[2].rewarded.seen.rollouts == 2 and made[2].rewarded.seen.mean_P[3] == 0.5
    assert made[1].budget._rewards.seen.rollouts == 2


def test_states_that_a_pipeline_has_kept_do_not_go_on_with_its_stages(tmp_path):
    one = object.__new__(Pipeline)
    one.stages, one.run = stages(), make_run({})
    kept = one.states()
    for stage in one.stages:
        stage.observe(Step(1, groups={"a": Group("a", (0.0, 1.0), question=3)}), None)
    for name, states in (("before", kept), ("behind", None)):
        (tmp_path / name).mkdir()
        one.save(tmp_path / name, states)
        load_stages(tmp_path / name, made := stages(), one._fingerprint)
        assert made[1].budget._rewards.seen.rollouts == made[2].rewarded.seen.rollouts == 2 * (states is None)


def test_a_missing_or_damaged_file_never_begins_anew(saved):
    content = bytearray((saved / FILE).read_bytes())
    content[-3] ^= 1
    for damaged, named in ((content, ["checksum"]), (content[:100], [])):
        (saved / FILE).write_bytes(damaged)
        with refused(str(saved / FILE), "damaged", *named):
            load_stages(saved, stages(), "questions")
    (saved / FILE).unlink()
    with refused(str(saved / FILE), "file"):
        load_stages(saved, stages(), "questions")


def test_states_of_other_data_are_refused(saved):
    for other in ("others", None):
        with refused("fingerprint of the training questions", "other run", "'questions'", repr(other)):
            load_stages(saved, stages(), other)
    with refused("questions with a reward", "other run", "has 4", "has 5"):
        load_stages(saved, stages(5), "questions")


def test_a_stage_that_is_turned_off_is_not_forgotten_in_silence(saved):
    with refused("dots.length_penalty.enable", "other run", str(saved)):
        load_stages(saved, stages()[:2], "questions")


def test_nothing_is_taken_over_when_one_file_of_several_is_refused(saved):
    for content, key in (
        ({"state": {}, "more": np.zeros(1)}, str(saved / FILE)),
        ({"state": {}, "questions": "others"}, "fingerprint of the training questions"),
    ):
        save_state(saved / FILE, "length_penalty", content)
        with refused(key, "other run"):
            load_stages(saved, made := stages(), "questions")
        assert made[1].budget._rewards.seen.rollouts == 0
