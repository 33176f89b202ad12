"""Names that tell which member of a collection is which."""

import pytest

from verl_dots.rewards.comparing.equality import Comparison
from verl_dots.rewards.reading.answer import read


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("x=1, y=2", "(1, 2)", True),
        ("x=1, y=2", "(2, 1)", False),
        ("y=2, x=1", "(1, 2)", True),  # letters side by side: in the alphabet's order
        ("m=2, b=3", "(2, 3)", True),  # others: as written
        ("m=2, b=3", "(3, 2)", False),
        ("(1, 2)", "y=2, x=1", True),
        ("(x, y)=(1, 2)", "y=2, x=1", True),
        ("(y, x)=(1, 2)", "x=1, y=2", False),
        ("1, 2", "y=1, x=2", True),  # a list has no order
        ("x_1=2, x_2=3", "3, 2", True),  # roots have none
        ("x=2, x=3", "3, 2", True),
        ("3 apples, 4 pears", "3 pears, 4 apples", False),
        ("3 apples, 4 pears", "4 pears, 3 apples", True),
        ("3 apples, 4 pears", "4, 3", True),
    ],
)
def test_which_member_is_which(gold, answer, equal):
    assert Comparison().equal(read(gold), read(answer)) is equal
