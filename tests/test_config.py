"""The typed group `dots`: its defaults in the composed config, and wrong values of it."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.config import DotsConfig
from verl_dots.launch.compose import compose
from verl_dots.settings import Reason, Settings, descriptions, plain_values, settings_table, unknown_key

PACKAGE = Path(__file__).parents[1] / "verl_dots"


def test_the_composed_group_is_the_typed_one_with_every_key_at_its_default(cpu_environment):
    given = OmegaConf.to_container(compose(["device=cpu"]).dots)
    assert given["difficulty"].pop("backbone") == "${actor_rollout_ref.model.path}"
    expected = plain_values(DotsConfig())
    assert expected["difficulty"].pop("backbone") is None
    assert given == expected
    assert DotsConfig.from_mapping(given) == DotsConfig()
    # As YAML holds them: a list, and whole numbers without a point.
    assert repr(given["reward_range"]) == "[0, 1]" and repr(given["selection"]["tau"]) == "0.001"


@pytest.mark.parametrize(
    "given, key, reason",
    [
        ({"sede": 3}, "dots.sede", "unknown"),
        ({"from_mapping": 3}, "dots.from_mapping", "unknown"),
        ({"adarft": {"alpha": 2}}, "dots.adarft.alpha", "renamed"),
        ({"seed": "three"}, "dots.seed", "type"),
        ({"seed": True}, "dots.seed", "type"),
        ({"seed": 1.5}, "dots.seed", "type"),
        ({"seed": -1}, "dots.seed", "range"),
        ({"poll_seconds": 0.0}, "dots.poll_seconds", "range"),
        ({"poll_seconds": None}, "dots.poll_seconds", "type"),
        ({"reward_range": [1, 0]}, "dots.reward_range", "range"),
        ({"reward_range": [0]}, "dots.reward_range", "type"),
        ({"reward_range": [0, "a"]}, "dots.reward_range", "type"),
        ({"selection": 3}, "dots.selection", "type"),
        ({"selection": {"alfa": 0.5}}, "dots.selection.alfa", "unknown"),
        ({"selection": {"alpha": 1.5}}, "dots.selection.alpha", "range"),
        ({"selection": {"tau": -1}}, "dots.selection.tau", "range"),
        ({"selection": {"references": 1}}, "dots.selection.references", "range"),
        ({"selection": {"mu": 0}}, "dots.selection.mu", "range"),
        ({"selection": {"conflicting_answers": "keep"}}, "dots.selection.conflicting_answers", "choice"),
        ({"difficulty": {"predictor": "magic"}}, "dots.difficulty.predictor", "choice"),
        ({"difficulty": {"predictor": "attention"}}, "dots.difficulty.predictor", "missing"),
        ({"difficulty": {"half_life": 0}}, "dots.difficulty.half_life", "range"),
    ],
)
def test_errors_name_the_key(given, key, reason):
    with refused(key, reason):
        DotsConfig.from_mapping(given)


def test_errors_say_what_was_given_and_what_is_allowed():
    for given, words in (
        ({"seed": "three"}, "dots.seed='three' is of type str; it must be of type int"),
        ({"selection": {"alpha": 1.5}}, "dots.selection.alpha=1.5: must be in [0, 1]"),
        ({"console": "all"}, "dots.console=all: must be one of lines, full"),
    ):
        with pytest.raises(ValueError) as caught:
            DotsConfig.from_mapping(given)
        assert str(caught.value) == words


def test_an_int_is_a_float_too():
    assert DotsConfig.from_mapping({"poll_seconds": 1}).poll_seconds == 1.0


def test_an_unknown_key_lists_few_known_ones_and_suggests_only_near_ones():
    assert str(unknown_key("dots.zzz", ["dots.seed"])).endswith("Known: dots.seed.")
    assert "did you mean 'dots.seed'?" in str(unknown_key("dots.sede", ["dots.seed"]))
    assert "did you mean" not in str(unknown_key("xyz", ["alpha", "beta"]))


REFUSALS = ("ConfigError", "EmbeddingError", "OutputError", "QuestionError", "RunError", "NothingRecordedError")
REFUSALS += ("ReplayError", "SelectionError", "SourceError", "StateError")


def test_every_refusal_has_a_reason_of_the_list():
    """Read from the source."""
    calls = [
        (file.name, node.lineno, {word.arg: word.value for word in node.keywords})
        for file in (*PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("data_prep/*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in REFUSALS
    ]
    assert len(calls) > 200
    for name, line, words in calls:
        assert "reason" in words, f"{name}:{line}"
        if isinstance(words["reason"], ast.Constant):
            assert words["reason"].value in get_args(Reason), f"{name}:{line}"


def test_the_table_joins_descriptions_over_lines_and_misses_none():
    @dataclass
    class Some(Settings):
        """Some settings.

        Attributes:
            low, high: bounds
                of it.
            name: what it is called.
        """

        low: float = 0.5
        high: float = 1.5
        name: str = "x"

    assert descriptions(Some) == {("low", "high"): "bounds of it.", ("name",): "what it is called."}
    assert list(settings_table(Some, "some")) == [
        (["some.low", "some.high"], [0.5, 1.5], "bounds of it."),
        (["some.name"], ["x"], "what it is called."),
    ]

    @dataclass
    class Silent(Settings):
        """Nothing is said."""

        seed: int = 1

    with pytest.raises(ValueError, match=r"Silent does not describe \['seed'\]"):
        list(settings_table(Silent, "silent"))
