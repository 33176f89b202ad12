import pytest
from omegaconf import OmegaConf

from tests.methods.memory import CONFIG
from tests.refusals import refused
from verl_dots.config import DotsConfig
from verl_dots.methods.mopps.checks import refuse_mopps

RUN = OmegaConf.merge(OmegaConf.create(CONFIG), {"trainer": {"v1": {"trainer_mode": "dots"}}})


def dots(**groups):
    return DotsConfig.from_mapping({"mopps": {"enable": True}} | groups)


@pytest.mark.parametrize("other", ["selection", "adarft"])
def test_a_second_source_of_questions_is_refused(other):
    with refused(f"dots.{other}.enable", "excluded"):
        refuse_mopps(RUN, dots(**{other: {"enable": True}}))
    refuse_mopps(RUN, dots(**{other: {"enable": True}}, mopps={"enable": False}))


@pytest.mark.parametrize("ahead", [{"prompts": 16}, {"updates": 3}])
def test_rollouts_of_several_steps_at_once_are_refused(ahead):
    with refused("dots.preemptive.prompts", "excluded"):
        refuse_mopps(RUN, dots(preemptive={"enable": True} | ahead))
    refuse_mopps(RUN, dots(preemptive={"enable": True}, budget={"enable": True}))


def test_what_every_source_needs_of_verl_is_asked_for():
    with refused("algorithm.filter_groups.enable", "excluded"):
        refuse_mopps(OmegaConf.merge(RUN, {"algorithm": {"filter_groups": {"enable": True}}}), dots())
