from dataclasses import fields

import pytest
import yaml

from verl_dots.conf import __path__ as conf_path
from verl_dots.config import DotsConfig
from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.settings import ConfigError, unknown_key


def test_the_yaml_has_every_key_at_its_default():
    with open(f"{list(conf_path)[0]}/dots/default.yaml") as file:
        given = yaml.safe_load(file)
    assert given["difficulty"].pop("backbone") == "${actor_rollout_ref.model.path}"
    assert DotsConfig.from_mapping(given) == DotsConfig()
    assert set(given) == {field.name for field in fields(DotsConfig)}
    assert set(given["selection"]) == {field.name for field in fields(SelectionConfig)}


@pytest.mark.parametrize(
    "given, words",
    [
        ({"sede": 3}, "unknown config key 'dots.sede'; did you mean 'dots.seed'"),
        ({"seed": "three"}, "dots.seed='three' is of type str; it must be of type int"),
        ({"seed": True}, "of type bool; it must be of type int"),
        ({"seed": 1.5}, "of type float; it must be of type int"),
        ({"seed": -1}, r"dots.seed=-1: must be in 0..2147483647"),
        ({"poll_seconds": 0.0}, "must be above 0"),
        ({"poll_seconds": None}, "of type NoneType; it must be of type float"),
        ({"reward_range": [1, 0]}, r"dots.reward_range=\[1.0, 0.0\]: must be \[least, greatest\]"),
        ({"reward_range": [0]}, "must be a list of 2 values"),
        ({"reward_range": [0, "a"]}, r"dots.reward_range\[1\]='a' is of type str"),
        ({"selection": 3}, "dots.selection=3 is of type int; it must be a group of settings"),
        ({"selection": {"alfa": 0.5}}, "unknown config key 'dots.selection.alfa'; did you mean 'dots.selection.alpha'"),
        ({"selection": {"alpha": 1.5}}, r"dots.selection.alpha=1.5: must be in \[0, 1\]"),
        ({"selection": {"tau": -1}}, "dots.selection.tau=-1.0: must be 0 or more"),
        ({"selection": {"references": 1}}, "dots.selection.references=1: must be 2 or more"),
        ({"selection": {"mu": 0}}, "dots.selection.mu=0: must be 1 or more"),
        ({"selection": {"conflicting_answers": "keep"}}, "must be one of drop, error"),
        ({"difficulty": {"predictor": "magic"}}, "dots.difficulty.predictor=magic: must be one of online, attention"),
        ({"difficulty": {"predictor": "attention"}}, "needs dots.difficulty.checkpoint=FOLDER"),
        ({"difficulty": {"half_life": 0}}, "must be above 0 steps"),
    ],
)
def test_errors_name_the_key_and_what_is_allowed(given, words):
    with pytest.raises(ConfigError, match=words):
        DotsConfig.from_mapping(given)


def test_an_int_is_a_float_too():
    assert DotsConfig.from_mapping({"poll_seconds": 1}).poll_seconds == 1.0


def test_unknown_key_lists_few_known_ones_and_suggests_only_near_ones():
    assert unknown_key("dots.zzz", ["dots.seed"]).endswith("Known: dots.seed.")
    assert "did you mean" not in unknown_key("xyz", ["alpha", "beta"])
