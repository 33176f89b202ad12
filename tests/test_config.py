import pytest
import yaml

from verl_dots.conf import __path__ as conf_path
from verl_dots.config import ConfigError, DotsConfig, unknown_key


def test_the_yaml_has_every_key_at_its_default():
    with open(f"{list(conf_path)[0]}/dots/default.yaml") as file:
        assert DotsConfig.from_mapping(yaml.safe_load(file)) == DotsConfig()


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
