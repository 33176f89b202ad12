"""The command line, and what is checked of a config."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.launches import plain_config
from tests.refusals import refused
from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.evaluation.checkpoints import Checkpoint
from verl_dots.evaluation.configure import check_sampling, configure, parse, settings_for
from verl_dots.evaluation.data_sets import DataSet
from verl_dots.launch.combinations import check_room

SAMPLING = {"n": 4, "temperature": 0.6, "top_p": 0.95, "top_k": -1}
LENGTHS = {"prompt_length": 512, "response_length": 512, "max_model_len": None}


def test_overrides_may_stand_anywhere():
    options = parse(["a=1", "runs/mine", "--data", "x.parquet", "y.parquet", "b=2", "--rollouts", "4", "c=3"], "")
    assert options.checkpoint == "a=1"  # the first word, whatever it is
    options = parse(["runs/mine", "a=1", "--data", "x.parquet", "y.parquet", "b=2", "--rollouts", "4", "c=3"], "")
    assert (options.checkpoint, options.data) == ("runs/mine", ["x.parquet", "y.parquet"])
    assert sorted(options.overrides) == ["a=1", "b=2", "c=3"]
    assert (options.rollouts, options.limit, options.out) == (4, None, None)


def test_a_file_with_an_equals_sign_is_a_file(tmp_path):
    file = tmp_path / "level=3.parquet"
    file.touch()
    options = parse(["runs/mine", "--data", str(file), "a=1", "--out", "there"], "")
    assert (options.data, options.overrides, options.out) == ([str(file)], ["a=1"], Path("there"))


def test_sampling_that_cannot_be():
    check_sampling(OmegaConf.create(SAMPLING))
    check_sampling(OmegaConf.create({**SAMPLING, "n": 1, "temperature": 0}))
    with refused("actor_rollout_ref.rollout.val_kwargs.temperature", "excluded", "all 4"):
        check_sampling(OmegaConf.create({**SAMPLING, "temperature": 0}))


def test_lengths_without_room_for_a_response():
    check_room(OmegaConf.create(LENGTHS))
    check_room(OmegaConf.create({**LENGTHS, "max_model_len": 1024}))
    with refused("actor_rollout_ref.rollout.max_model_len", "size", "1023", "1024 tokens"):
        check_room(OmegaConf.create({**LENGTHS, "max_model_len": 1023}))


@pytest.mark.usefixtures("cpu_environment")
def test_a_row_of_another_scorer_is_another_setting():
    def settings(**row):
        question = AskedQuestion("a", "1+1?", "2", {"data_source": "arithmetic", "extra_info": {"level": 1}} | row)
        return settings_for(config, [DataSet("mine", (question,))])

    config = plain_config().copy()
    config.actor_rollout_ref.model.path = "owner/model"
    first = settings()
    assert first["scorers"]["mine"].startswith("arithmetic, sha256 ")
    for other in (settings(data_source="openai/gsm8k"), settings(extra_info={"level": 2})):
        assert [name for name in first if first[name] != other[name]] == ["scorers"]


def test_overrides_behind_data_leave_no_file():
    options = parse(["runs/mine", "--data", "device=cpu", "a=1"], "")
    with refused("--data", "missing", "device=cpu, a=1"):
        configure(options, Checkpoint("mine", "runs/mine"))
    options = parse(["runs/mine", "--data", "runs/lr=1/gone.parquet"], "")  # a file, if one that is not there
    assert (options.data, options.overrides) == (["runs/lr=1/gone.parquet"], [])
