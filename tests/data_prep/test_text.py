"""When two texts are the same, and what of a prompt is the question."""

import pytest

from data_prep.text import FOREIGN_INSTRUCTIONS, INSTRUCTION, digest, normalise, with_instruction, without_instruction


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Find  $x$.", "find \\(x\\)", True),
        ("$\\dfrac{1}{2} + \\left( x \\right)$", "\\frac{1}{2}+( x )", True),
        ("How many?\n", "how many", True),
        ("1\\,000", "1000", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("x + 1", "x - 1", False),
        ("x < 1", "x > 1", False),
        ("5!", "5", False),
        ("x\u00b2", "x2", False),
        ("(1,2)", "[1,2]", False),
        ("\\leftarrow", "arrow", False),
        ("$ $", "$$", False),  # texts of looks alone
    ],
)
def test_looks_do_not_count_and_content_does(one, other, same):
    assert (normalise(one) == normalise(other)) is same


def test_digests_are_fixed_and_keep_their_parts_apart():
    # First 8 bytes of sha256("a\0b").
    assert digest("a", "b") == 0x59B271AE1BBCB1D3
    assert digest("ab") != digest("a", "b")


@pytest.mark.parametrize("instruction", [INSTRUCTION, *FOREIGN_INSTRUCTIONS])
def test_known_instructions_go(instruction):
    assert without_instruction(f"What is 1 + 1? {instruction}\n") == "What is 1 + 1?"


def test_other_messages_stay_as_they_are():
    assert without_instruction("  What is 1 + 1? Be brief. ") == "  What is 1 + 1? Be brief. "
    assert without_instruction(with_instruction("Q")) == "Q"
