"""A run's settings against those of its checkpoint: names of classes that have moved since."""

import importlib
import re

import pytest
import yaml
from omegaconf import OmegaConf

from scripts.recipe_difference import verl_defaults
from tests.test_layers import PACKAGE
from verl_dots.settings import flat
from verl_dots.training.resume_settings import MOVED, OPEN, changes, decisive

KEY = "agent_loop_manager_class"


def composed():
    text = (PACKAGE / "conf/dots_trainer.yaml").read_text()
    return yaml.safe_load(text)["actor_rollout_ref"]["rollout"]["agent"][KEY]


@pytest.mark.parametrize("old", MOVED)
def test_a_class_that_has_moved_is_no_change_of_the_run(old):
    assert changes({KEY: old}, {KEY: composed()}) == {}
    assert changes({KEY: "elsewhere.Manager"}, {KEY: composed()}) == {KEY: ("elsewhere.Manager", composed())}


def test_the_moved_names_lead_to_classes():
    for name in MOVED.values():
        module, _, member = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), member), type)


@pytest.mark.parametrize("name", OPEN)
def test_a_name_that_is_added_to_an_open_group_or_left_out_of_it_is_another_run(name):
    """Without one the groups of two runs are the same, whether they are there, empty or null."""

    def of(value):
        for part in reversed(name.split(".")):
            value = {part: value}
        return value

    given, empty, null, absent = of({"thinking": False}), of({}), of(None), {}
    for none in (empty, null, absent):
        for there, here in ((given, none), (none, given)):
            assert changes(there, here).keys() == {name} and decisive(name, there, here)
        assert changes(none, absent) == {}
    assert changes(given, of({"thinking": False, "attn_implementation": "eager", "_target_": "x"})) == {}
    assert changes(of({"of": [{"api_key": "***"}]}), of({"of": [{"api_key": ""}]})) == {}


def test_an_open_group_is_shown_whole():
    there, here = {"data": {"mm_processor_kwargs": {"a": {"b": 1}}}}, {"data": {"mm_processor_kwargs": {"a": {"c": 1}}}}
    assert changes(there, here) == {"data.mm_processor_kwargs": ({"a": {"b": 1}}, {"a": {"c": 1}})}


@pytest.mark.usefixtures("cpu_environment")
def test_the_groups_of_verl_that_hold_any_names_are_known():
    """Those that are empty in its config, where what is put into them changes the training."""
    empty = {key for key, value in flat(OmegaConf.to_container(verl_defaults())).items() if value == {}}
    of_machines = re.compile(r"(trainer|global_profiler)\..*|.*engine_kwargs.*")
    found = {key for key in empty if not of_machines.fullmatch(key)}
    assert found <= {*OPEN} and found == {
        "actor_rollout_ref.model.override_config", "critic.model.override_config",
        "data.apply_chat_template_kwargs", "data.mm_processor_kwargs",
    }  # fmt: skip
