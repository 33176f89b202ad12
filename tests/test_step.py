import numpy as np
import pytest

from verl_dots.step import effective


@pytest.mark.parametrize(
    ("rewards", "wanted"),
    [
        ([0, 1, 0, 0], True), ([0.25, 0.5], True), ([0.0] * 8, False), ([1.0] * 8, False),
        # The mean lies between 0 and 1, yet every advantage is 0.
        ([0.5] * 8, False), ([0.3], False), ([-1.0, -1.0], False), (np.full(8, 0.1, dtype=np.float32), False),
    ],
)  # fmt: skip
def test_a_group_is_effective_if_its_rewards_differ(rewards, wanted):
    assert effective(rewards) is wanted


def test_a_group_has_rewards():
    with pytest.raises(ValueError, match="without rollouts"):
        effective([])
