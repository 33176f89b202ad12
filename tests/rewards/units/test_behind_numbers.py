"""Units behind numbers."""

import pytest

from verl_dots.rewards.units.behind_numbers import conflicting, split_unit


@pytest.mark.parametrize(
    ("text", "core", "unit"),
    [
        (r"5\text{cm}^{2}", "5", r"\text{cm}^{2}"),
        (r"9 \text{km} / h", "9", r"\text{km} / h"),
        (r"46 \percent", "46", r"\percent"),
        (r"\frac{37}{4} m", r"\frac{37}{4} m", ""),
        ("12 or more", "12 or more", ""),
        (r"\binom{24}{12}^{2}", r"\binom{24}{12}^{2}", ""),
        ("5/n", "5/n", ""),
        (r"\tan 45 \degree", r"\tan 45 \degree", ""),
    ],
)
def test_units(text, core, unit):
    assert split_unit(text) == (core, unit)


def test_units_that_conflict():
    assert conflicting(r"\text{cm}", "km") and conflicting(r"\text{cm}^{2}", r"\text{cm}^{3}")
    assert (
        not conflicting("cm", r"\text{centimeters}") and not conflicting("eggs", "") and not conflicting("cm", "apples")
    )
