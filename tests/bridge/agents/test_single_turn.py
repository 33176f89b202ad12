"""What an agent loop worker remembers."""

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError

from verl_dots.bridge.agents.clients import RememberedConfig
from verl_dots.bridge.agents.single_turn import PromptTokens


def test_tokens_of_the_prompts_that_were_used_last_are_remembered():
    known = PromptTokens(most=10)
    known.put("one", [1, 2, 3, 4])
    known.put("two", [5, 6, 7, 8])
    assert known.get("one") == [1, 2, 3, 4] and known.get("three") is None
    known.put("three", [9, 10, 11])  # 11 tokens in all: "two" was used before "one"
    assert known.get("two") is None and known.get("one") == [1, 2, 3, 4] and known.get("three") == [9, 10, 11]
    known.put("one", [1, 2])
    known.put("four", [1] * 5)  # 2 + 3 + 5
    assert known.get("one") == [1, 2] and known.get("three") == [9, 10, 11] and known.get("four") == [1] * 5
    known.put("long", [1] * 11)
    assert known.get("long") is None


def test_what_is_given_out_can_be_changed():
    known = PromptTokens()
    known.put("one", [1, 2])
    known.get("one").append(3)
    assert known.get("one") == [1, 2]


def test_settings_are_those_of_the_config_and_looked_up_once():
    config = OmegaConf.create({"rollout": {"name": "hf", "sizes": [1, 2], "nothing": None}, "n": 3})
    OmegaConf.set_struct(config, True)
    quick = RememberedConfig(config)
    assert (quick.n, quick.rollout.name, quick.rollout.nothing) == (3, "hf", None)
    assert list(quick.rollout.sizes) == [1, 2] and quick.rollout.get("missing", 7) == 7
    assert quick.rollout is quick.rollout
    assert getattr(quick.rollout, "missing", 5) == 5
    with pytest.raises(ConfigAttributeError):
        quick.rollout.missing  # noqa: B018
