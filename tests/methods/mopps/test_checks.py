from dataclasses import dataclass, field

import pytest
from omegaconf import OmegaConf

from verl_dots.config import DotsConfig
from verl_dots.methods.mopps.checks import refuse_mopps
from verl_dots.methods.mopps.settings import MoPPSConfig
from verl_dots.settings import ConfigError

CONFIG = OmegaConf.create({"data": {"train_batch_size": 8}})


@dataclass(frozen=True)
class Dots(DotsConfig):
    mopps: MoPPSConfig = field(default_factory=MoPPSConfig)


def dots(**groups):
    return Dots.from_mapping({"mopps": {"enable": True}} | groups)


def test_a_second_source_of_questions_and_rollouts_of_several_steps_at_once_are_refused():
    for key in ("selection", "adarft"):
        with pytest.raises(ConfigError, match=f"dots.{key}.enable=True does not go with .*; turn one of them off"):
            refuse_mopps(CONFIG, dots(**{key: {"enable": True}}))
        refuse_mopps(CONFIG, dots(**{key: {"enable": True}}, mopps={"enable": False}))
    for ahead in ({"prompts": 16}, {"updates": 3}):
        with pytest.raises(ConfigError, match="the posterior must see .* set both to null, which is .*batch_size=8"):
            refuse_mopps(CONFIG, dots(preemptive={"enable": True} | ahead))
    refuse_mopps(CONFIG, dots(preemptive={"enable": True}, budget={"enable": True}))
