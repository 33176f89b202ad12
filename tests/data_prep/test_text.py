"""When two texts are the same, and what of a prompt is the question."""

import pytest

from data_prep.text import FOREIGN_INSTRUCTIONS, INSTRUCTION, digest, normalise, with_instruction, without_instruction


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Find  $x$.", "find \\(x\\)"),
        ("$\\dfrac{1}{2} + \\left( x \\right)$", "\\frac{1}{2}+( x )"),
        ("How many?\n", "how many"),
        ("1\\,000", "1000"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_looks_do_not_count(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x + 1", "x - 1"),
        ("x < 1", "x > 1"),
        ("5!", "5"),
        ("x\u00b2", "x2"),
        ("(1,2)", "[1,2]"),
        ("\\leftarrow", "arrow"),
    ],
)
def test_content_counts(one, other):
    assert normalise(one) != normalise(other)


def test_a_text_of_looks_alone_is_itself():
    assert normalise("$ $") == "$ $"


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
