"""The README's table of settings is the config's."""

from dataclasses import dataclass

import pytest

from scripts.config_table import README, descriptions, main, rows, table
from verl_dots.config import DotsConfig


def test_the_readme_has_the_table_of_the_config_as_it_is():
    assert table() in README.read_text(), "run python scripts/config_table.py --write"
    assert main([]) == 0


def test_every_setting_is_in_it_once():
    named = [name for keys, _, _ in rows() for name in keys.split(", ")]
    assert len(named) == len(set(named)) > 55
    assert "`dots.selection.alpha`" in named and "`dots.budget.least`" in named and "`.most`" in named


def test_descriptions_are_joined_over_lines():
    @dataclass
    class Settings:
        """Some settings.

        Attributes:
            low, high: bounds
                of it.
            name: what it is called.
        """

        low: float = 0.5
        high: float = 1.5
        name: str = "x"

    assert descriptions(Settings) == {("low", "high"): "bounds of it.", ("name",): "what it is called."}
    assert list(rows(Settings, "some")) == [
        ("`some.low`, `.high`", "0.5, 1.5", "bounds of it."),
        ("`some.name`", "x", "what it is called."),
    ]


def test_a_setting_that_is_not_described_is_an_error():
    @dataclass
    class Settings:
        """Nothing is said."""

        seed: int = 1

    with pytest.raises(ValueError, match=r"Settings does not describe \['seed'\]"):
        list(rows(Settings))
    assert {field for names in descriptions(DotsConfig) for field in names} >= {"seed", "replay"}
