"""What stands behind an answer."""

import pytest

from verl_dots.rewards.reading.tails import split_modulus, without_condition


@pytest.mark.parametrize(
    ("text", "core"),
    [
        (r"2k\pi, k \in \mathbb{Z}", r"2k\pi"),
        (r"2k\pi (k \in \mathbb{Z})", r"2k\pi"),
        (r"cx + d \text{with} c, d \in \mathbb{Z}", "cx + d"),
        (r"n^{2} \text{for some} n \in \mathbb{N}^{+}", "n^{2}"),
        (r"x > 0, x \in \mathbb{Z}", r"x > 0, x \in \mathbb{Z}"),  # another set
        (r"x \in \mathbb{R}", r"x \in \mathbb{R}"),
        (r"cx, c \in \mathbb{R}", "cx"),
        (r"c x, c \in \mathbb{R}", "c x"),
        (r"c x c \in \mathbb{R}", r"c x c \in \mathbb{R}"),
        (r"2, k \in \mathbb{Z}", r"2, k \in \mathbb{Z}"),  # of nothing in the answer
    ],
)
def test_conditions(text, core):
    assert without_condition(text) == core


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (r"3 \pmod 7", ("3", "7")),
        (r"x \equiv 3 (\text{mod}7)", (r"x \equiv 3", "7")),
        (r"3 \text{(mod 7)}", ("3", " 7")),
        ("3 mod n", ("3", "n")),
        (r"\text{mean} < \text{mode}", (r"\text{mean} < \text{mode}", "")),
        (r"1 \pmod 3 \text{or} 2 \pmod 5", (r"1 \pmod 3 \text{or} 2 \pmod 5", "")),
    ],
)
def test_moduli(text, parts):
    assert split_modulus(text) == parts
