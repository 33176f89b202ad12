"""The README's table of settings is the config's."""

from scripts.config_table import README, main, table


def test_the_readme_has_the_table_of_the_config_as_it_is():
    assert table() in README.read_text(), "run python scripts/config_table.py --write"
    assert main([]) == 0


def test_every_setting_is_in_it_once():
    named = [name for line in table().splitlines() for name in line.split(" | ")[0].strip("| ").split(", ")][2:]
    assert len(named) == len(set(named)) > 55
    assert "`dots.selection.alpha`" in named and "`dots.budget.least`" in named and "`.most`" in named
