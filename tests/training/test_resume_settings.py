"""A run's settings against those of its checkpoint: names of classes that have moved since."""

import importlib

import pytest
import yaml

from tests.test_layers import PACKAGE
from verl_dots.training.resume_settings import MOVED, changes

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
